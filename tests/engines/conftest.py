"""The tests here need a real engine or minutes of time, and none of them skips."""

from tests.whole.conftest import start

__all__ = ["start"]
