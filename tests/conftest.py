"""Hypothesis profiles: `ci` draws the same cases every time, `dev` new ones; and no test chooses for the next."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tinycnn import backends, cores

settings.register_profile("dev", deadline=None, max_examples=60)
settings.register_profile(
    "ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True)
def _own_rung_and_threads():
    """A rung or a number of threads that a test chose for good is chosen no longer when it is over."""
    yield
    vars(backends._chosen).clear()
    vars(cores._chosen).clear()
