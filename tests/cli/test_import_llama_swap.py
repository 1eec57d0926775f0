"""Samples that cover what llama-swap documents; each result is one that `hestia check` takes."""

import io
import sys

import pytest

from hestia.cli.hestia import main
from hestia.cli.import_llama_swap import run_import
from hestia.roof.config import load_text

LEAST = """
models:
  one:
    cmd: llama-server --port ${PORT} --model /models/one.gguf
"""
MANY = r"""
# Several lines, quotes, macros, containers, and names.
healthCheckTimeout: 300
logLevel: debug
startPort: 10001
globalTTL: 900
macros:
  server: >
    /opt/llama/llama-server
    --port ${PORT}
  ctx: 4096
  common: "--ctx-size ${ctx} --flash-attn"
  models: "${env.MODELS}"
apiKeys: ["sk-a-long-key", "${env.CLIENT_KEY}"]
models:
  "qwen/Qwen3:30b":
    macros: {ctx: 16384, temp: 0.7}
    cmd: |
      # the large one
      ${server} ${common}
      --model '${models}/Qwen 3.gguf' \
      --temp ${temp}
    env: ["CUDA_VISIBLE_DEVICES=0,1"]
    aliases: [gpt-4o, {id: gpt-4o-mini, name: Mini}]
    ttl: 120
    concurrencyLimit: 4
    useModelName: qwen3
    filters: {stripParams: "temperature, top_p", setParamsByID: {"${MODEL_ID}:high": {effort: high}}}
    metadata: {port: "${PORT}"}
    timeouts: {connect: 15, responseHeader: 60, keepalive: 30}
  vllm:
    proxy: http://127.0.0.1:${PORT}
    cmd: docker run --rm --name ${MODEL_ID} --gpus '"device=2,3"' -p ${PORT}:8000 vllm/vllm-openai --model "/m"
    cmdStop: docker stop ${MODEL_ID}
    checkEndpoint: /v1/models
    unlisted: true
  whisper:
    cmd: whisper-server --port 9233
    proxy: http://localhost:9233
    checkEndpoint: none
    unloadTimeout: 20
"""
GROUPS = """
models:
  a: &small {cmd: "s --port ${PORT} a", ttl: 60}
  b: {<<: *small, cmd: "s --port ${PORT} b"}
  c: {cmd: "s --port ${PORT} c"}
  embed: {cmd: "s --port ${PORT} e"}
  rerank: {cmd: "s --port ${PORT} r"}
groups:
  swaps: {swap: true, exclusive: true, members: [a, b]}
  together: {swap: false, exclusive: false, members: [c]}
  forever: {persistent: true, swap: false, exclusive: false, members: [embed, rerank]}
hooks: {on_startup: {preload: [embed, a]}}
"""
MATRIX = """
models:
  gemma: {cmd: "s --port ${PORT}"}
  qwen: {cmd: "s --port ${PORT}"}
  voice: {cmd: "s --port ${PORT}"}
  large: {cmd: "s --port ${PORT}"}
matrix:
  vars: {g: gemma, q: qwen, v: voice, L: large}
  evict_costs: {L: 30}
  sets: {llms: "g | q", standard: "+llms & v", full: L}
peers:
  router: {proxy: "https://router.example/api", apiKey: "${env.ROUTER_KEY}", models: [org/far, org/farther]}
"""
ODD = """
logToStdout: both
profiles: {quiet: {pins: {a: ""}}}
models:
  "...": {cmd: "s --port ${PORT} ${env.MODELS} {service} ${undefined}", unlisted: true}
  "ollama": {cmd: "s --port 8080", proxy: "http://localhost:8080", aliases: ["*"]}
  "\u00fcber modell": {cmd: "s --port ${PORT}", env: ["A=b=c"], strange: [1]}
  "broken": {cmd: "s '"}
"""
SAMPLES = {"least": LEAST, "many": MANY, "groups": GROUPS, "matrix": MATRIX, "odd": ODD}
ENVIRON = {"MODELS": "/models", "CLIENT_KEY": "sk-another-long-key", "ROUTER_KEY": "far"}


@pytest.fixture
def run(tmp_path, capsys):
    def run(text, environ=ENVIRON):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        code = run_import(str(file), environ)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "odd"])
def test_a_sample_becomes_a_configuration_that_is_taken(run, name):
    code, out, err = run(SAMPLES[name])
    assert code == 0, err
    assert load_text(out, environ=ENVIRON).config.services


def test_what_is_odd_is_said_and_the_result_is_taken_all_the_same(run):
    code, out, err = run(ODD)
    assert code == 0, err
    services = load_text(out, environ=ENVIRON).config.services
    assert list(services) == ["ollama", "model", "ber-modell", "broken"]
    assert services["model"].models == ("...",)
    assert services["model"].places[0].launch.command[-1] == "${undefined}"
    assert services["ollama"].models == ("ollama", "[*]")
    assert services["ber-modell"].places[0].launch.env == {"A": "b=c"}
    assert "listen: ['127.0.0.1:8081']" in out  # 8080 is a model's
    for path in ("logToStdout", "profiles", "models.broken.cmd", 'models."...".cmd', 'models."...".unlisted'):
        assert f": {path}: " in err, path
    assert "${undefined} is no macro that is defined" in err
    assert "{service} in it means something here" in err


def test_nothing_is_lost_on_the_way(run):
    _, out, _ = run(MANY)
    config = load_text(out, environ=ENVIRON).config
    services = config.services
    assert list(services) == ["qwen-Qwen3-30b", "vllm", "whisper"]
    qwen = services["qwen-Qwen3-30b"]
    place = qwen.places[0]
    assert place.launch.command == (
        *("/opt/llama/llama-server", "--port", "{port}", "--ctx-size", "16384", "--flash-attn"),
        *("--model", "/models/Qwen 3.gguf", "--temp", "0.7"),
    )
    assert place.launch.env == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert place.health_url == "http://127.0.0.1:{port}/health"
    assert place.health_status == ((200, 200),)
    assert place.start_timeout == 300
    assert qwen.models == ("qwen/Qwen3:30b", "gpt-4o", "gpt-4o-mini", "qwen/Qwen3:30b:high")
    assert (qwen.idle_timeout, qwen.max_concurrency, qwen.connect_timeout) == (120, 4, 15)
    assert services["vllm"].idle_timeout == 900
    assert services["vllm"].places[0].launch.stop_command == ("docker", "stop", "vllm")
    assert '"device=2,3"' in services["vllm"].places[0].launch.command
    whisper = services["whisper"].places[0]
    assert (whisper.base_url, whisper.health_url) == ("http://localhost:9233", None)
    assert whisper.launch.stop_grace == 20
    assert [key.key for key in config.auth.api_keys] == ["sk-a-long-key", "sk-another-long-key"]
    assert all(service.needs == {"slots": 1} for service in services.values())
    assert config.machines["local"].capacity == {"slots": 1}


def test_what_is_not_carried_over_stands_on_the_other_side_and_in_the_file(run):
    _, out, err = run(MANY)
    assert ": models.qwen/Qwen3:30b" not in out
    assert "config.yaml:5:1: startPort: a free port is chosen at each start\n" in err
    assert "#   startPort: a free port is chosen at each start\n" in out
    assert "  # useModelName: the request's `model` is passed as it is" in out
    assert ".useModelName: the request's `model` is passed as it is" in err


def test_a_variable_that_is_not_set_here_is_said(run):
    code, out, err = run(MATRIX, {})
    assert code == 1
    assert "${ROUTER_KEY}" in out
    assert "the variable ROUTER_KEY is not set" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [\n", "config.yaml:2:1: is not YAML"),
        ("", "config.yaml is empty"),
        ("services: {}", "config.yaml has no `models`: it is no configuration of llama-swap"),
        ("a: 1\na: 2", "is given twice"),
        ("\xff", "config.yaml has no `models`"),
    ],
)
def test_a_file_that_is_none_is_refused(run, text, words):
    code, out, err = run(text)
    assert (code, out) == (2, "")
    assert words in err


def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys):
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        assert run_import(str(path), {}) == 2
        assert f"{path}: {words}" in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert run_import(str(tmp_path / "binary"), {}) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    assert run_import(str(tmp_path / "large"), {}) == 2
    assert "is too large" in capsys.readouterr().err


def test_it_is_a_command_and_reads_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LEAST.encode())))
    assert main(["import", "llama-swap", "-"]) == 0
    assert "llama-server" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["import", "something-else", "-"])
    assert end.value.code == 2
