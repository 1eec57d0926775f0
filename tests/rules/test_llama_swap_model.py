import pytest

from hestia.rules.llama_swap_model import General, Model, ttl_of
from hestia.rules.llama_swap_reading import Reading

COMMAND = "llama-server --port ${PORT} -m a.gguf"


@pytest.fixture
def made():
    def made(**keys):
        reading = Reading()
        model = Model(reading, "qwen:7b", {"cmd": COMMAND, **keys}, General({"dir": "/models"}, 0))
        made.notes = {".".join(map(str, note.path[2:])): note.words for note in reading.notes}
        service = model.service()
        made.notes = {".".join(map(str, note.path[2:])): note.words for note in reading.notes}
        made.aliases = model.aliases()
        return service

    return made


def test_the_least_there_can_be(made):
    assert made() == {
        "health_url": "http://127.0.0.1:{port}/health",
        "launch": {"kind": "process", "command": ["llama-server", "--port", "{port}", "-m", "a.gguf"]},
    }
    assert made.notes == {}


def test_macros_of_the_model_go_before_those_of_all(made):
    service = made(cmd="s -p ${PORT} -m ${dir}/${MODEL_ID} -c ${ctx}", macros={"dir": "/fast", "ctx": 8192})
    assert service["launch"]["command"] == ["s", "-p", "{port}", "-m", "/fast/qwen:7b", "-c", "8192"]


def test_a_macro_that_nothing_defines_is_said_and_stays_a_text(made):
    assert made(cmd="s --port ${PORT} ${nothing}")["launch"]["command"][-1] == "$${nothing}"
    assert made.notes == {"cmd": "${nothing} is no macro that is defined"}


def test_a_port_of_its_own_and_a_check_of_its_own(made):
    service = made(cmd="s --port 9001", proxy="http://127.0.0.1:9001/", checkEndpoint="/ready")
    assert service["base_url"] == "http://127.0.0.1:9001"
    assert service["health_url"] == "http://127.0.0.1:9001/ready"


def test_a_proxy_below_a_path_or_on_another_machine(made):
    assert made(proxy="http://gpu:${PORT}/api")["base_url"] == "http://gpu:{port}/api"
    assert made(proxy="http://localhost:${PORT}") == made()


def test_without_a_check_it_is_ready_when_it_answers(made):
    assert "health_url" not in made(checkEndpoint="none")
    assert list(made.notes) == ["checkEndpoint"]


def test_a_command_without_a_port_needs_an_address(made):
    assert set(made(cmd="s")) == {"launch"}
    assert "set `base_url`" in made.notes["proxy"]


def test_a_proxy_that_is_no_address_is_left_out(made):
    assert set(made(proxy="nonsense")) == {"launch"}
    assert list(made.notes) == ["proxy"]


def test_times_and_limits(made):
    timeouts = {"connect": 10, "responseHeader": 60, "idleConn": 90}
    service = made(ttl=300, unloadTimeout=20, concurrencyLimit=2, timeouts=timeouts)
    assert service["idle_timeout"] == "300s"
    assert service["launch"]["stop_grace"] == "20s"
    assert service["max_concurrency"] == 2
    assert (service["connect_timeout"], service["response_timeout"]) == ("10s", "60s")
    assert list(made.notes) == ["concurrencyLimit", "timeouts.idleConn"]
    assert made(ttl=0)["idle_timeout"] == "0s"
    assert "idle_timeout" not in made(ttl=-1)


def test_the_environment_is_taken_with_its_variables(made):
    service = made(env=["CUDA_VISIBLE_DEVICES=0,1", "CACHE=${env.HOME}/c=d", "EMPTY=", "ODD=${x}"])
    assert service["launch"]["env"] == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CACHE": "${HOME}/c=d",
        "EMPTY": "",
        "ODD": "$${x}",
    }


def test_a_stop_command(made):
    service = made(cmd="docker run --name ${MODEL_ID} -p ${PORT}:80 x", cmdStop="docker stop ${MODEL_ID}")
    assert service["launch"]["stop_command"] == ["docker", "stop", "qwen:7b"]


def test_a_stop_command_that_wants_the_process_id_is_not_needed(made):
    assert "stop_command" not in made(cmdStop="kill -TERM ${PID}")["launch"]
    assert "SIGTERM" in made.notes["cmdStop"]


def test_names_of_all_kinds(made):
    filters = {"setParamsByID": {"${MODEL_ID}:high": {"effort": "high"}}}
    made(aliases=["gpt-4o", {"id": "mini", "name": "Mini"}, {"name": "without an id"}], filters=filters)
    assert made.aliases == ["gpt-4o", "mini", "qwen:7b:high"]
    assert list(made.notes) == ["filters.setParamsByID"]


def test_what_has_no_counterpart_is_said(made):
    more = {"name": "Qwen", "description": "d", "unlisted": True, "metadata": {}, "useModelName": "q", "strange": 1}
    made(**more)
    assert set(made.notes) == set(more)
    assert made.notes["strange"] == "is not known to this import"


def test_words_that_would_mean_something_here_are_said(made):
    made(cmd="s --port ${PORT} --template {service}")
    assert "{service} in it means something here" in made.notes["cmd"]


def test_a_command_that_cannot_be_read_is_said(made):
    assert made(cmd="s --port ${PORT} 'x")["launch"]["command"] == []
    assert "say how it is started" in made.notes["cmd"]


def test_the_time_after_which_it_is_unloaded():
    assert [ttl_of({"ttl": ttl}, 60) for ttl in (-1, 0, 5)] == [60, 0, 5]
    assert ttl_of({}, 60) == 60
