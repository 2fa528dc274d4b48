import socket
from pathlib import Path

from igstats_dev import ports


def choose(file: Path) -> dict[str, int]:
    with ports.reserved(file) as chosen:
        return chosen


def test_ports_are_remembered(tmp_path: Path) -> None:
    first = choose(tmp_path / "ports.json")
    assert choose(tmp_path / "ports.json") == first


def test_no_port_is_chosen_twice(tmp_path: Path) -> None:
    chosen = choose(tmp_path / "ports.json")
    assert len(set(chosen.values())) == len(chosen) == len(ports.NAMES)


def test_a_taken_port_is_replaced(tmp_path: Path) -> None:
    first = choose(tmp_path / "ports.json")
    with socket.create_server(("127.0.0.1", first["stats-rpc"])):
        second = choose(tmp_path / "ports.json")
    assert second["stats-rpc"] != first["stats-rpc"]
    assert second["audit-rpc"] == first["audit-rpc"]


def test_stacks_that_start_side_by_side_share_no_port(tmp_path: Path) -> None:
    with ports.reserved(tmp_path / "a.json") as first, ports.reserved(tmp_path / "b.json") as second:
        assert set(first.values()).isdisjoint(second.values())


def test_a_spoilt_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert choose(tmp_path / "ports.json").keys() == set(ports.NAMES)
