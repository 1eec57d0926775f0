"""What is released is whole: the wheel and the source distribution, built from a copy of this tree and tried where nothing else is."""

import ast
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import hestia
from tests.house.tree import ROOT, every_file, name_of, sources

COPIED = ("hestia", "strategies", "etc", "tests", "bench")
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
BUILD_S = 300
SDIST = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"
DOCS, PAGES = ROOT / "hestia" / "docs", ROOT / "hestia" / "pages"


def run(*argv, cwd, within=BUILD_S, **environ):
    """What it printed. Nothing of this environment's paths gets in."""
    outer = {name: text for name, text in os.environ.items() if not name.startswith(("HESTIA", "PYTHON", "SEMAPHORE", "OLLAMA"))}
    done = subprocess.run(
        list(map(str, argv)),
        cwd=cwd,
        env=outer | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert done.returncode == 0, f"{argv}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """This tree, so that nothing is built into it."""
    folder = tmp_path_factory.mktemp("release") / "tree"
    folder.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=CACHES)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, folder / path.name)
    return folder


def built(tree, to):
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", to, tree, cwd=to)
    (wheel,) = to.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(copy, tmp_path_factory):
    return built(copy, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(copy, tmp_path_factory):
    """Unpacked."""
    to = tmp_path_factory.mktemp("sdist")
    name = run(sys.executable, "-c", SDIST, to, cwd=copy).splitlines()[-1]
    shutil.unpack_archive(to / name, to)
    return to / name.removesuffix(".tar.gz")


def inside(wheel):
    """Name -> the SHA-256 of each file, but for the record, which holds the same."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/", "RECORD"))]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"hestia_gateway-{hestia.__version__}.dist-info/METADATA").decode()


# --- the wheel


def test_the_wheel_holds_every_source_file_and_nothing_of_the_tests(wheel):
    names = set(inside(wheel))
    strategies = {f"hestia/strategies/{path.name}" for path in (ROOT / "strategies").glob("*.py")}
    assert {name_of(path) for path in sources()} | strategies <= names
    assert {name.partition("/")[0] for name in names} == {"hestia", f"hestia_gateway-{hestia.__version__}.dist-info"}
    assert [name for name in names if "test" in name or "__pycache__" in name] == []


def test_the_wheel_holds_docs_pictures_pages_the_licence_and_the_mark_of_types(wheel):
    names = set(inside(wheel))
    shipped = {name_of(path) for folder in (DOCS, PAGES) for path in folder.rglob("*") if path.is_file()}
    assert shipped & {"hestia/docs/index.md", "hestia/pages/dashboard.html"}
    assert shipped - names == set()
    assert {"hestia/py.typed", f"hestia_gateway-{hestia.__version__}.dist-info/licenses/LICENSE"} <= names


def test_the_wheel_is_for_every_system_and_says_what_it_needs(wheel):
    said = metadata(wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wheel.name == f"hestia_gateway-{hestia.__version__}-py3-none-any.whl"
    assert f"\nVersion: {hestia.__version__}\n" in said
    assert f"\nRequires-Python: {project['requires-python']}\n" in said
    needed = {re.match(r"[\w.-]+", row)[0] for row in project["dependencies"]}
    assert {re.match(r"[\w.-]+", row)[0] for row in re.findall(r"^Requires-Dist: ([^;\n]+)$", said, re.MULTILINE)} == needed


def test_the_wheel_has_both_programs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        said = archive.read(f"hestia_gateway-{hestia.__version__}.dist-info/entry_points.txt").decode()
    assert re.findall(r"^(\w+) = ", said, re.MULTILINE) == ["hestia", "hestiactl"]


# --- the source distribution


def test_the_source_distribution_builds_the_same_wheel(sdist, wheel, tmp_path):
    again, first = inside(built(sdist, tmp_path)), inside(wheel)
    assert set(again) == set(first)
    assert {name for name in first if first[name] != again[name]} == set()


def test_the_source_distribution_has_what_the_docs_speak_of_and_no_test(sdist):
    wanted = [path for path in every_file() if name_of(path).startswith("etc/")]
    wanted += [ROOT / "CHANGELOG.md", ROOT / "LICENSE", ROOT / "README.md", ROOT / "requirements.lock"]
    assert [name_of(path) for path in wanted if not (sdist / name_of(path)).is_file()] == []
    assert not (sdist / "tests").exists()
    assert not (sdist / "bench").exists()


# --- one version


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "hestia.__version__"}
    written = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == hestia.__version__
    ]
    assert len(written) == 1
    assert written[0].startswith("hestia/__init__.py:")


# --- installed


def empty(folder, *, pip):
    """An environment with nothing in it."""
    venv.create(folder, with_pip=pip, symlinks=True)
    return folder / "bin"


def tried(start, bin_, home):
    """Both programs, from an empty folder and without a configuration, are the wheel's and work."""
    alone = {"PYTHONPATH": "", "PATH": f"{bin_}:{os.environ['PATH']}"}
    where = run(bin_ / "python", "-c", "import hestia; print(hestia.__file__)", cwd=home)
    assert Path(where.strip()).is_relative_to(bin_.parent)
    assert run(bin_ / "hestia", "version", cwd=home).strip().endswith(hestia.__version__)
    assert run(bin_ / "hestiactl", "--version", cwd=home).strip().endswith(hestia.__version__)
    gateway = start("", argv=[str(bin_ / "hestia"), "serve", "--listen", "127.0.0.1:{port}"], **alone)
    assert json.loads(gateway.get("/__health")[2])["version"] == hestia.__version__
    assert gateway.get("/dashboard/")[0] == 200
    assert asked(gateway, "/services/demo/") == (200, True)
    shown = run(bin_ / "hestiactl", "status", cwd=home, XDG_STATE_HOME=str(home), XDG_RUNTIME_DIR=str(home))
    assert re.search(r"^demo +hot", shown, re.MULTILINE)
    gateway.signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert "Traceback" not in gateway.stderr


def asked(gateway, path):
    """A start takes three seconds and more."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, b"It works" in answer.read()


def test_the_wheel_serves_where_its_packages_are(wheel, start, tmp_path):
    """Without the package index: what it depends on is lent by the environment of the tests."""
    bin_ = empty(tmp_path / "venv", pip=False)
    here = Path(run(bin_ / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    run(sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    (here / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    tried(start, bin_, tmp_path)


@pytest.mark.engines
@pytest.mark.parametrize("extra", ["", "[speed]"])
def test_the_wheel_installs_from_the_package_index_into_an_empty_environment(wheel, start, tmp_path, extra):
    bin_ = empty(tmp_path / "venv", pip=True)
    run(bin_ / "python", "-m", "pip", "install", "--quiet", f"{wheel}{extra}", cwd=tmp_path)
    run(bin_ / "python", "-m", "pip", "check", cwd=tmp_path)
    tried(start, bin_, tmp_path)


@pytest.mark.engines
def test_the_source_distribution_installs_from_the_package_index(sdist, tmp_path):
    bin_ = empty(tmp_path / "venv", pip=True)
    run(bin_ / "python", "-m", "pip", "install", "--quiet", sdist, cwd=tmp_path)
    assert run(bin_ / "hestia", "version", cwd=tmp_path).strip().endswith(hestia.__version__)
