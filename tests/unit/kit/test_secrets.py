from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from igstats_kit.testing.secrets import Secrets, make_private, write_private


def test_key_files_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    secrets.create(["stats"])
    first = {path.name: path.read_bytes() for path in secrets.directory.iterdir()}
    secrets.create(["stats"])
    assert {path.name: path.read_bytes() for path in secrets.directory.iterdir()} == first
    assert [path.name for path in secrets.directory.iterdir() if path.stat().st_mode & 0o077] == []


def test_a_key_has_32_bytes_that_no_reader_strips(tmp_path: Path) -> None:
    keys = [Secrets(tmp_path).path(f"{number}.key").read_bytes() for number in range(50)]
    assert [key for key in keys if len(key.strip()) != 32] == []


def test_a_pem_is_a_signing_key(tmp_path: Path) -> None:
    assert load_pem_private_key(Secrets(tmp_path).path("audit-evidence-log.pem").read_bytes(), password=None)


def test_a_password_is_kept(tmp_path: Path) -> None:
    assert Secrets(tmp_path).password("stats") == Secrets(tmp_path).password("stats")


def test_the_first_of_several_makers_wins_and_a_writer_replaces(tmp_path: Path) -> None:
    make_private(tmp_path / "key", b"first")
    make_private(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    write_private(tmp_path / "key", b"third")
    assert (tmp_path / "key").read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
