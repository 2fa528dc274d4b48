"""The repository stands by itself: no path of one machine, no host of one registry."""

import re

import pytest
from codebase import files, text

LOCKS = {"uv.lock"}
THIS = "tests/contract/test_repository.py"
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+|opt/pypi\w*|opt/wheels)/")
ROOT_FILES = {
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml"),
    *("uv.lock", "buf.yaml", ".ci/run", "docs/architecture.md", "docs/flows/deletion.md"),
}


def lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {line.strip()[:80]}"
        for name in files()
        if name not in LOCKS and readable(name)
        for number, line in enumerate(text(name).splitlines(), 1)
        if pattern.search(line)
    ]


def readable(name: str) -> bool:
    try:
        text(name)
    except UnicodeDecodeError:
        return False
    return True


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [line for line in lines(MACHINE_PATH) if not line.startswith(THIS)] == []


def test_no_file_but_the_lock_names_a_package_registry() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", text("uv.lock")))
    assert hosts
    assert lines(re.compile("|".join(map(re.escape, sorted(hosts))))) == []


@pytest.mark.parametrize("path", ["/work/" + "x", "see /root/" + ".cache", "/home/" + "ann/igstats"])
def test_a_path_of_one_machine_would_be_found(path: str) -> None:
    assert MACHINE_PATH.search(path)


@pytest.mark.parametrize("path", ["network/x", "framework/work/x", "https://example.com/work/", "./work/"])
def test_a_path_inside_another_is_left_alone(path: str) -> None:
    assert not MACHINE_PATH.search(path)


def test_the_files_that_a_newcomer_looks_for_are_there() -> None:
    assert sorted(ROOT_FILES - set(files())) == []
