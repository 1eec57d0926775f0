import pytest

from hestia.strategies.by_model import by_model
from tests.strategies.places import R, S

SERVICES = (
    S("any", models=("llama*", "?")),
    S("exact", models=("llama3:8b",), listed=("qwen:7b", "x")),
    S("learnt", listed=("llama3:70b", "qwen:7b")),
    S("late", models=("qwen:7b", "gemma[23]")),
)


@pytest.mark.parametrize(
    "model, goes_to",
    [
        ("llama3:8b", "exact"),
        ("llama3:70b", "learnt"),
        ("llama2", "any"),
        ("qwen:7b", "late"),
        ("x", "exact"),
        ("gemma2", "late"),
        ("LLAMA2", None),
        ("other", None),
        ("", None),
        (None, None),
    ],
)
def test_an_exact_name_beats_a_glob_and_config_order_decides(model, goes_to):
    assert by_model(R(model, SERVICES)) == goes_to
