"""Keys of the day as files."""

import os
from pathlib import Path

import pytest
from igstats_audit.keystore import FileKeyStore


class KilledError(BaseException):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_keys_are_made_read_and_listed_by_age(folder: Path) -> None:
    store = FileKeyStore(folder)
    made = [store.create() for _ in range(3)]
    assert sorted(made) == store.ids() == FileKeyStore(folder).ids()
    assert len({store.read(kek_id) for kek_id in made}) == 3
    assert {len(store.read(kek_id)) for kek_id in made} == {32}


def test_only_the_owner_can_read_folder_and_files(folder: Path) -> None:
    store = FileKeyStore(folder)
    [path] = [folder / f"{store.create()}.key"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_volume_opened_to_its_group_is_read_and_closed_again(folder: Path) -> None:
    kek_id = FileKeyStore(folder).create()
    path = folder / f"{kek_id}.key"
    key = path.read_bytes()
    path.chmod(0o660)  # what kubelet makes of files and folders for the group of a pod
    folder.chmod(0o2770)
    assert FileKeyStore(folder).read(kek_id) == key
    assert (folder.stat().st_mode & 0o7777, path.stat().st_mode & 0o7777) == (0o2700, 0o600)


def test_a_folder_or_a_key_that_stays_open_to_others_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileKeyStore(folder)
    kek_id = store.create()
    (folder / f"{kek_id}.key").chmod(0o640)

    def another_owner(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chmod", another_owner)
    with pytest.raises(PermissionError, match="open to others"):
        store.read(kek_id)
    monkeypatch.undo()
    folder.chmod(0o750)
    monkeypatch.setattr(os, "chmod", another_owner)
    with pytest.raises(PermissionError, match="open to others"):
        FileKeyStore(folder)


def test_a_destroyed_key_is_gone_and_its_bytes_are_overwritten(folder: Path) -> None:
    store = FileKeyStore(folder)
    kek_id, other = store.create(), store.create()
    key, twin = store.read(kek_id), folder / "twin"
    os.link(folder / f"{kek_id}.key", twin)  # another name for the same bytes on the disk
    store.destroy(kek_id)
    store.destroy(kek_id)
    with pytest.raises(LookupError):
        store.read(kek_id)
    assert store.ids() == [other]
    assert twin.read_bytes() == bytes(32) != key


@pytest.mark.parametrize("kek_id", ["", "../secret", "kek_short", "kek_" + "a" * 26, "/etc/passwd"])
def test_a_name_that_is_no_key_is_not_here(folder: Path, kek_id: str) -> None:
    with pytest.raises(LookupError):
        FileKeyStore(folder).read(kek_id)


def test_other_files_are_no_keys(folder: Path) -> None:
    store = FileKeyStore(folder)
    (folder / "notes.key").write_text("x")
    (folder / "README").write_text("x")
    assert store.ids() == []


@pytest.mark.parametrize("steps", range(6))
def test_a_making_that_is_killed_leaves_no_key_or_a_whole_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    store = FileKeyStore(folder)
    with monkeypatch.context() as patched:
        killing(patched, steps)
        try:
            made = store.create()
        except KilledError:
            made = ""
    for kek_id in store.ids():
        try:
            assert len(store.read(kek_id)) == 32
        except LookupError:
            assert kek_id != made
        store.destroy(kek_id)
    assert store.ids() == []


@pytest.mark.parametrize("steps", range(6))
def test_a_destruction_that_is_killed_is_ended_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    store = FileKeyStore(folder)
    kek_id = store.create()
    key = store.read(kek_id)
    with monkeypatch.context() as patched:
        killing(patched, steps)
        try:
            store.destroy(kek_id)
        except KilledError:
            assert kek_id in store.ids() or not (folder / f"{kek_id}.key").exists()
        else:
            assert store.ids() == []
    store.destroy(kek_id)
    assert store.ids() == []
    assert not any(key in path.read_bytes() for path in folder.iterdir())


def killing(patched: pytest.MonkeyPatch, steps: int) -> None:
    """Kills at the given call of the operating system."""
    left = [steps]

    def stepping(name: str) -> None:
        real = getattr(os, name)

        def step(*given: object, **named: object) -> object:
            if not left[0]:
                raise KilledError
            left[0] -= 1
            return real(*given, **named)

        patched.setattr(os, name, step)

    for name in ("open", "write", "fsync", "unlink"):
        stepping(name)
