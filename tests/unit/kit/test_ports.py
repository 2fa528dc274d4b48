"""Ports of tests that run side by side."""

import pytest
from igstats_kit.testing.processes import PORTS, free_port, own_share


def test_no_port_belongs_to_two_workers() -> None:
    shares = [own_share(f"gw{number}") for number in range(16)]
    assert sorted(port for share in shares for port in share) == list(PORTS)


@pytest.mark.parametrize("name", ["", "master"])
def test_a_program_that_is_no_workers_may_have_any(name: str) -> None:
    assert own_share(name) == PORTS


def test_a_worker_takes_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw5")
    assert {free_port() for _ in range(50)} <= set(own_share("gw5"))


def test_a_port_that_was_drawn_is_not_drawn_again_soon() -> None:
    drawn = [free_port() for _ in range(200)]
    assert len(set(drawn)) == len(drawn)
