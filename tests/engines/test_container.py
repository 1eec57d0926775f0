"""Containerfile and compose.yml on a real Docker Engine: built in a fresh clone, run, used, stopped and run again."""

import faulthandler
import json
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
import yaml

from tests.engines.clone import BASE, BUILD_S, ROOT, Clone, OwnNetwork, until
from tests.engines.debian import debian
from tests.engines.dockerd import program, serving

GATEWAY = "http://localhost:8080"
GRACE_S = 60
PARTS = 20
# What stands where the operator's Ollama would: on the machine around the container. `/slow` takes four seconds.
OLLAMA = """
import http.server, time

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(20 if self.path == "/slow" else 1):
            time.sleep(0.2 if self.path == "/slow" else 0)
            self.wfile.write(b"5\\r\\npart\\n\\r\\n")
            self.wfile.flush()
        self.wfile.write(b"0\\r\\n\\r\\n")

http.server.ThreadingHTTPServer(("0.0.0.0", 11434), Answer).serve_forever()
"""
# As much of Semaphore's image as compose.yml touches: the wrapper, curl, and the user that owns the data.
SEMAPHORE = """
FROM {base}
RUN useradd -u 1001 -g 0 semaphore && install -d -o 1001 -g 0 /var/lib/semaphore && \
    printf '%s\\n' '#!/bin/sh' 'set -e' 'cd /var/lib/semaphore' 'mkdir -p api' 'echo pong >api/ping' \
      'exec python3 -m http.server 3000' >/usr/local/bin/server-wrapper && chmod +x /usr/local/bin/server-wrapper
USER 1001
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["/usr/local/bin/server-wrapper"]
"""
PROGRAMS = ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", "/opt/hestia/bin"]


def take_time():
    """Packages and images take minutes: more than one test is otherwise given before it counts as hung."""
    faulthandler.dump_traceback_later(2 * BUILD_S, exit=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    take_time()
    return debian(tmp_path_factory.mktemp("debian"))


@pytest.fixture(scope="module")
def engine(base, tmp_path_factory):
    take_time()
    with serving(OwnNetwork(tmp_path_factory.mktemp("engine"), base)) as running:
        yield running


@pytest.fixture(scope="module")
def python(engine):
    """The version of the base image's Python."""
    said = engine.docker("run", "--rm", "--network=none", BASE, "python3", "-V")
    return re.fullmatch(r"Python (3\.\d+)\..*\n", said)[1]


@pytest.fixture(scope="module")
def ollama(engine):
    server = subprocess.Popen(engine.inside(sys.executable, "-c", OLLAMA), stdin=subprocess.DEVNULL)
    yield
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def clone(engine, python, ollama, tmp_path_factory):
    """`docker compose up -d` and nothing else, in a network from which nothing can be fetched."""
    take_time()
    clone = Clone(tmp_path_factory.mktemp("clones") / "hestia", engine)
    clone.wheelhouse(python)
    try:
        clone.compose("up", "-d", within=BUILD_S)
        yield clone
    finally:
        clone.compose("--profile", "semaphore", "down", "--volumes", "--timeout=5")


@pytest.fixture
def up(clone):
    clone.compose("up", "-d")
    clone.until_healthy()
    return clone


def curl(engine, url, *more, within=60):
    argv = engine.inside("curl", "--silent", "--show-error", "--max-time", str(within), *more, url)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=within + 10)
    assert done.returncode == 0, done.stderr
    return done.stdout


def configure(clone, **services):
    """A gateway reads its folder, so a file that is replaced is seen."""
    (clone.folder / "etc" / "hestia_config.yml").write_text(json.dumps({"services": services}))
    clone.ctl("reload")


def test_the_quick_start_is_true_in_a_fresh_clone(up, engine):
    status = json.loads(curl(engine, f"{GATEWAY}/v1/services/ollama/status"))
    assert (status["id"], status["state"], status["base_url"]) == ("ollama", "hot", "http://host.docker.internal:11434")
    assert curl(engine, f"{GATEWAY}/services/ollama/") == "part\n"


def test_it_is_published_on_loopback_only_and_nothing_else_is(up, engine):
    assert up.compose("ps", "-q").split() == [up.container()]  # Semaphore is not asked for
    assert engine.docker("port", up.container()).splitlines() == ["8080/tcp -> 127.0.0.1:8080"]


def test_it_can_write_nowhere_but_where_it_must(up):
    script = "for where in / /opt/hestia /etc/hestia /etc/hestia/strategies /data /tmp; do touch $where/x 2>/dev/null && echo $where; done"
    assert up.compose("exec", "-T", "hestia", "sh", "-c", f"{script}; true").split() == ["/data", "/tmp"]


def test_it_runs_without_rights_below_tini(up, engine):
    look = "id -u; tr '\\0' ' ' </proc/1/cmdline; echo; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/1/status; ls /var/run/docker.sock"
    said = up.compose("exec", "-T", "hestia", "sh", "-c", f"{look} 2>&1; true")
    user, first, *rights, engine_socket = said.splitlines()
    assert (user, first.strip()) == ("10001", "tini -- hestia serve")
    assert dict(line.split() for line in rights) == {"CapEff:": "0" * 16, "CapBnd:": "0" * 16, "NoNewPrivs:": "1"}
    assert "No such file" in engine_socket


def test_it_knows_the_time_zones(up):
    said = up.compose("exec", "-T", "-e", "TZ=Asia/Kolkata", "hestia", "date", "+%z")
    assert said.strip() == "+0530"


def test_hestiactl_is_there_and_needs_no_word_about_where(up):
    assert [each["id"] for each in up.ctl("status")["services"]] == ["ollama"]
    assert "ollama" in up.compose("exec", "-T", "hestia", "hestiactl", "status")


def test_the_operators_strategies_are_those_of_the_folder(up):
    assert {each["file"] for each in up.ctl("strategies")["strategies"]} == {None}  # copies of the shipped ones
    mine = up.folder / "strategies" / "mine.py"
    mine.write_text("def register_strategy(registry):\n    registry.add('mine', lambda request: None, kind='route')\n")
    mine.chmod(0o644)
    up.ctl("strategies", "reload")
    assert "/etc/hestia/strategies/mine.py" in {each["file"] for each in up.ctl("strategies")["strategies"]}


def test_a_service_is_launched_inside_and_ends_with_the_container(up, engine):
    configure(up, programs={"launch": {"kind": "process", "command": PROGRAMS}}, ollama={})
    assert "hestiactl" in curl(engine, f"{GATEWAY}/services/programs/")
    assert up.ctl("status", "programs")["managed"] is True
    up.compose("restart")
    up.until_healthy()
    assert json.loads(curl(engine, f"{GATEWAY}/v1/services/programs/status"))["state"] == "cold"
    assert "hestiactl" in curl(engine, f"{GATEWAY}/services/programs/")
    assert "<defunct>" not in engine.docker("top", up.container())


def test_what_is_kept_survives_a_container_that_is_made_anew(up, engine):
    before = up.container()
    up.ctl("keys", "create", "phone")
    up.compose("down")
    up.compose("up", "-d")
    up.until_healthy()
    assert up.container() != before
    assert [key["name"] for key in up.ctl("keys", "list")["keys"]] == ["phone"]


def test_a_stop_lets_an_exchange_finish_and_is_over_within_its_grace(up, engine):
    answer = []
    asking = threading.Thread(target=lambda: answer.append(curl(engine, f"{GATEWAY}/services/ollama/slow")))
    asking.start()
    until(lambda: up.ctl("ps")["inflight"])
    began = time.monotonic()
    up.compose("stop")
    took = time.monotonic() - began
    asking.join()
    assert answer == ["part\n" * PARTS]
    assert took < GRACE_S / 2
    assert engine.inspect(up.compose("ps", "-aq", "hestia").strip(), "State.ExitCode") == 0


def test_a_mistake_in_the_configuration_is_told_by_the_image_itself(up, engine, tmp_path):
    image = engine.inspect(up.container(), "Image")
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "hestia_config.yml").write_text("services: {a: {base_ulr: http://127.0.0.1:1}}\n")
    argv = (program("docker", "docker.io"), "run", "--rm", "--network=none", "--read-only", "-v", f"{folder}:/etc/hestia:ro", image, "check")
    engine.run(*argv, ends=2)


def test_semaphore_comes_with_its_profile_and_refuses_an_empty_password(up, engine, tmp_path):
    image = yaml.safe_load((ROOT / "compose.yml").read_text())["services"]["semaphore"]["image"]
    (tmp_path / "Containerfile").write_text(SEMAPHORE.format(base=BASE))
    engine.docker("build", "-t", image, "-f", str(tmp_path / "Containerfile"), str(tmp_path), within=BUILD_S)
    up.compose("--profile", "semaphore", "up", "-d")
    until(lambda: "SEMAPHORE_ADMIN_PASSWORD is empty" in up.compose("logs", "semaphore"))
    up.compose("--profile", "semaphore", "up", "-d", SEMAPHORE_ADMIN_PASSWORD="open sesame")
    up.until_healthy("semaphore")
    assert curl(engine, "http://localhost:3000/api/ping") == "pong\n"
    name = "from urllib.request import urlopen; print(urlopen('http://semaphore:3000/api/ping').read())"
    assert "pong" in up.compose("exec", "-T", "hestia", "python3", "-c", name)
    assert up.health() == "healthy"
    up.compose("--profile", "semaphore", "rm", "--stop", "--force", "semaphore")


def test_what_the_docs_add_for_the_filtering_proxy_fits_compose_yml(clone):
    page = (ROOT / "hestia" / "docs" / "container.md").read_text()
    (clone.folder / "compose.override.yml").write_text(re.search(r"```yaml\n(# compose\.override.*?)```", page, re.DOTALL)[1])
    try:
        said = yaml.safe_load(clone.compose("config"))["services"]
    finally:
        (clone.folder / "compose.override.yml").unlink()
    assert set(said["hestia"]["networks"]) == {"default", "docker"}
    assert said["hestia"]["environment"]["DOCKER_HOST"] == "tcp://docker-proxy:2375"


def test_without_a_wheelhouse_packages_come_from_the_index_by_their_hashes(clone, engine, tmp_path):
    take_time()
    wheels, index = clone.folder / "wheelhouse", tmp_path / "index"
    for wheel in wheels.iterdir():
        project = index / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        project.mkdir(parents=True)
        shutil.move(wheel, project / wheel.name)
    serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(index), "8000"]
    server = subprocess.Popen(engine.inside(*serve), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        (tmp_path / "pip.conf").write_text("[global]\nindex" + "-url = http://127.0.0.1:8000/\n")
        (tmp_path / "Containerfile").write_text(f"FROM {BASE}\nCOPY pip.conf /etc/pip.conf\n")
        engine.docker("build", "-t", "base-with-index", "-f", str(tmp_path / "Containerfile"), str(tmp_path), within=BUILD_S)
        words = ("--network=host", "--build-arg=BASE=base-with-index", "--build-arg=UID=4711", "-t", "from-index", "-f", "Containerfile", ".")
        build = (program("docker", "docker.io"), "build", *words)
        wheel = next((index / "aiosqlite").iterdir())
        genuine = wheel.read_bytes()
        wheel.write_bytes(genuine + b"and more")
        said = engine.run(*build, within=BUILD_S, cwd=clone.folder, ends=1)
        assert f"{wheel.name} has none of the hashes of requirements.lock" in said
        wheel.write_bytes(genuine)
        engine.run(*build, within=BUILD_S, cwd=clone.folder)
    finally:
        server.kill()
        server.wait()
    alone = ("run", "--rm", "--network=none", "--read-only", "from-index")
    assert engine.docker(*alone, "version").startswith("hestia ")
    assert "ok" in engine.docker(*alone, "check")
    assert engine.docker("run", "--rm", "--entrypoint=id", "from-index", "-u").strip() == "4711"
