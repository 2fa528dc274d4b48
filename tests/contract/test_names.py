"""Names: one word per thing, and no room for things that have no name."""

import ast
import re
from pathlib import PurePosixPath

import pytest
from codebase import PRODUCT, files, python_files, text, tree

BANNED_PARTS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "service"}
BANNED_CLASS_ENDINGS = ("Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Base")
# Words that would be a second name for something that has one, with the word that we use.
SYNONYMS = {
    "data_subject": "subject",
    "dsr": "request",
    "dsar": "request",
    "custodian": "holder",
    "work_item": "task",
    "subtask": "task",
    "graveyard": "tombstone",
}
SENTENCE = 2  # a subject and a verb, after test_


def names(name: str) -> list[tuple[str, int]]:
    """Every name that a Python file defines, with its line."""
    found = []
    for node in ast.walk(tree(name)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.append((node.name, node.lineno))
            case ast.arg():
                found.append((node.arg, node.lineno))
            case ast.Name(ctx=ast.Store()):
                found.append((node.id, node.lineno))
    return found


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_no_module_or_package_has_a_name_that_says_nothing() -> None:
    code = [name for name in files() if name.endswith((".py", ".proto")) and not name.startswith("protos/python/")]
    banned = [name for name in code if BANNED_PARTS & {*PurePosixPath(name).with_suffix("").parts}]
    assert banned == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    classes = [
        f"{name}:{node.lineno} {node.name}"
        for name in python_files()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ClassDef) and node.name.endswith(BANNED_CLASS_ENDINGS)
    ]
    assert classes == []


def test_modules_are_lower_case_words() -> None:
    modules = [PurePosixPath(name).stem for name in python_files()]
    assert [module for module in modules if not re.fullmatch(r"[a-z][a-z0-9_]*|__init__|__main__", module)] == []


@pytest.mark.parametrize(("synonym", "word"), sorted(SYNONYMS.items()))
def test_a_thing_has_one_word(synonym: str, word: str) -> None:
    pattern = re.compile(rf"(^|_){synonym}s?(_|$)")
    code = [
        f"{name}:{line} {found}: say {word}"
        for name in python_files(PRODUCT)
        for found, line in names(name)
        if pattern.search(snake(found))
    ]
    protos = [
        f"{name}: {found}: say {word}"
        for name in files()
        if name.startswith("protos/igstats/")
        for found in re.findall(r"\w+", re.sub(r"//.*", "", text(name)))
        if pattern.search(snake(found))
    ]
    assert [*code, *protos] == []


def test_tests_read_as_sentences() -> None:
    short = [
        f"{name}:{node.lineno} {node.name}"
        for name in python_files(("tests",))
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and len(node.name.split("_")) <= SENTENCE
    ]
    assert short == []


def test_migrations_are_numbered_and_worded() -> None:
    versions = [PurePosixPath(name) for name in files() if "/migrations/versions/" in name and name.endswith(".py")]
    assert [str(name) for name in versions if not re.fullmatch(r"([a-z]+_)?\d{4}(_[a-z0-9]+)+", name.stem)] == []
