import pytest

from hestia.doors.api_params import of_query
from hestia.doors.api_routes import find
from hestia.doors.verbs_params import BadParams

START, STOP = find("/v1/services/a/start"), find("/v1/services/a/stop")
LOGS, ACTIVITY = find("/v1/services/a/logs"), find("/v1/activity")


@pytest.mark.parametrize(
    ("found", "query", "given"),
    [
        (START, {"wait": "true", "timeout": "5s"}, {"wait": True, "timeout": "5s"}),
        (START, {"wait": ""}, {"wait": True}),
        (START, {"wait": "0"}, {"wait": False}),
        (START, {"timeout": "5"}, {"timeout": "5"}),
        (STOP, {"hold": "true"}, {"hold": "true"}),
        (STOP, {"hold": ""}, {"hold": True}),
        (STOP, {"all": "true", "id": "b", "hold": "2h"}, {"hold": "2h"}),
        (LOGS, {"lines": "7", "follow": "1"}, {"lines": 7, "follow": True}),
        (ACTIVITY, {"limit": "3", "service": "7", "other": "x"}, {"limit": 3, "service": "7"}),
    ],
)
def test_text_is_read_as_the_type_of_its_parameter(found, query, given):
    assert of_query(query, found) == given


@pytest.mark.parametrize(
    ("found", "query"), [(START, {"wait": "perhaps"}), (LOGS, {"lines": "many"}), (LOGS, {"lines": "-1"}), (ACTIVITY, {"limit": ""})]
)
def test_text_that_is_nothing_of_the_kind_is_refused_by_its_name(found, query):
    with pytest.raises(BadParams, match=next(iter(query))):
        of_query(query, found)
