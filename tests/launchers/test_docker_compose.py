"""What the labels of Docker Compose say. How they are lived by is tested with the launcher."""

import pytest

from hestia.launchers.docker_compose import depends_on, listed
from hestia.launchers.engine_api import engine_at
from tests.support.docker_double import DockerDouble


@pytest.mark.parametrize(
    ("label", "wanted"),
    (
        ("", []),
        ("db:service_healthy:false", [("db", "service_healthy")]),
        ("b:service_started:false,a:service_completed_successfully:true", [("b", "service_started"), ("a", "service_completed_successfully")]),
        ("db", [("db", "service_started")]),
        ("db,,cache:", [("db", "service_started"), ("cache", "service_started")]),
    ),
)
def test_a_label_names_services_and_conditions_in_their_order(label, wanted):
    assert depends_on(label) == wanted


async def test_containers_are_listed_by_their_number_without_one_offs(tmp_path):
    async with DockerDouble(tmp_path / "d.sock") as double:
        for number in (10, 2, 1):
            double.compose("shop", "web", number=number)
        double.compose("shop", "web", number=3, oneoff="True")
        double.compose("shop", "db")
        async with engine_at(double.host) as engine:
            found = await listed(engine, "shop", "web")
            assert [one.label("com.docker.compose.container-number") for one in found] == ["1", "2", "10"]
            assert len(await listed(engine, "shop")) == 4
            assert await listed(engine, "shop", everything=False) == []
