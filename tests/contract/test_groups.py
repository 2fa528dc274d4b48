"""Tests of one group run on one worker: otherwise each worker starts a stack of its own for the same tests."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_a_group_is_known_to_the_scheduler(request: pytest.FixtureRequest) -> None:
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@groups") == parallel
