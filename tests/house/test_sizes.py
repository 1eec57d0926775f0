"""Files stay small enough to be read at once, and each has its test beside it."""

import pytest

from tests.house.tree import ROOT, name_of, sources

ROOF = 400  # lines
LARGER: dict[str, str] = {}  # file -> the reason
# source -> where its tests stand, when that is not tests/<room>/test_<name>.py
TESTED_AT: dict[str, str] = {
    "hestia/doors/verbs_answers.py": "tests/doors/test_verbs.py",  # structs and Protocols of that table
    "hestia/doors/verbs_house.py": "tests/doors/test_verbs.py",
    "hestia/doors/verbs_params.py": "tests/doors/test_verbs.py",
    "hestia/doors/verbs_routes.py": "tests/doors/test_verbs.py",
    "hestia/cli/doctor_gateway.py": "tests/cli/test_doctor.py",  # its checks, each broken there
    "hestia/cli/doctor_services.py": "tests/cli/test_doctor.py",
    "hestia/cli/doctor_world.py": "tests/cli/test_doctor.py",
    "hestia/doors/answering.py": "tests/doors/test_front.py",  # one class in three files, tested over sockets
    "hestia/keeper/outside.py": "tests/keeper/test_keeper.py",  # a tuple of callables, filled by the roof
    "hestia/doors/connection.py": "tests/doors/test_front.py",  # one class in two files, tested over sockets
    "hestia/ports.py": "tests/support/conformance.py",  # Protocols: every launcher passes one suite
    "hestia/words/run.py": "tests/words/test_spec.py",
    "hestia/words/notes.py": "tests/words/test_events.py",
    "hestia/relay/ports.py": "tests/relay/test_exchange.py",  # Protocols alone: mypy holds both sides to them
    "hestia/relay/sending.py": "tests/relay/test_exchange.py",  # half of one class
    "hestia/doors/chooser.py": "tests/doors/test_choosing.py",  # routes decide over sockets there
    "hestia/relay/place.py": "tests/roof/test_build.py",  # plain fields, filled there
}


def test_no_file_is_longer_than_the_roof():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in sources()}
    assert {name: count for name, count in lengths.items() if count > ROOF and name not in LARGER} == {}


def test_no_exception_outlives_its_reason():
    long = {name_of(path) for path in sources() if len(path.read_text().splitlines()) > ROOF}
    assert set(LARGER) <= long
    assert set(TESTED_AT) <= {name_of(path) for path in sources()}


def files_that_need_one() -> list[str]:
    return [name_of(path) for path in sources() if path.name != "__init__.py"]


@pytest.mark.parametrize("name", files_that_need_one())
def test_each_source_file_has_its_test_file(name):
    folder, _, file = name.removeprefix("hestia").rpartition("/")
    place = TESTED_AT.get(name, f"tests{folder}/test_{file}")
    assert (ROOT / place).is_file(), f"no {place}: write it, or name in TESTED_AT what covers {name}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in sources()}), ids=name_of)
def test_each_room_is_a_package(folder):
    assert (folder / "__init__.py").is_file()
