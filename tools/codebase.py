"""Reads our own source code for the tests that hold it against its rules."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("kit", "services", "dev", "client")
EVERYWHERE = (*PRODUCT, "tests", "tools", "bench")


@dataclass(frozen=True)
class Function:
    """One function: where it stands, and how many lines it has without its docstring."""

    place: str
    name: str
    lines: int


@cache
def files() -> tuple[str, ...]:
    """Every file that git knows or would take, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return tuple(sorted({name for name in listed if (ROOT / name).is_file()}))


def python_files(rooms: tuple[str, ...] = EVERYWHERE) -> list[str]:
    """Hand-written Python of the rooms, without migrations."""
    return [
        name
        for name in files()
        if name.endswith(".py") and name.split("/")[0] in rooms and "/migrations/versions/" not in name
    ]


@cache
def text(name: str) -> str:
    """The text of a file."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(text(name), filename=name)


def functions(rooms: tuple[str, ...] = EVERYWHERE) -> list[Function]:
    """Every function and method of the rooms."""
    return [
        Function(f"{name}:{node.lineno}", node.name, length(node))
        for name in python_files(rooms)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def` to its end, without the docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total
