"""Which room may use what. import-linter checks the import graph; here stand the rules on single calls."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from codebase import PRODUCT, ROOT, python_files, tree

SERVICES = ("gateway", "stats", "privacy", "audit")
# Calls and attributes that only the named files may use, with what everyone else uses.
ENVIRONMENT = {"os.environ", "os.getenv", "os.putenv"}
CLOCK = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
SLEEP = {"time.sleep", "asyncio.sleep"}
RANDOM = {"random.random", "random.choice", "random.randint", "random.randbytes"}


def dotted(node: ast.expr) -> str:
    """The dotted name of an attribute chain, its last two parts: os.environ, datetime.now."""
    match node:
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
        case ast.Attribute(value=ast.Attribute(attr=owner), attr=name):
            return f"{owner}.{name}"
    return ""


def uses(names: set[str], rooms: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    """Places outside the allowed files where one of the names stands."""
    return [
        f"{name}:{node.lineno} {dotted(node)}"
        for name in python_files(rooms)
        if not name.startswith(allowed)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute) and dotted(node) in names
    ]


def imported(name: str) -> set[str]:
    """Modules that a file imports, as written."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        match node:
            case ast.Import(names=aliases):
                found |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), names=aliases):
                found |= {module, *(f"{module}.{alias.name}" for alias in aliases)}
    return found


def test_every_import_contract_holds() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_config_reads_the_environment() -> None:
    assert uses(ENVIRONMENT, ("kit", "services"), ("kit/igstats_kit/config.py", "kit/igstats_kit/testing/")) == []


def test_only_the_clock_reads_the_time_of_day() -> None:
    assert uses(CLOCK, ("kit", "services"), ("kit/igstats_kit/clock.py", "kit/igstats_kit/testing/")) == []


def test_tests_wait_on_conditions_and_sleep_only_between_two_looks_at_one() -> None:
    looks = {
        f"{name}:{inner.lineno}"
        for name in python_files(("tests",))
        for node in ast.walk(tree(name))
        if isinstance(node, ast.While)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
    }
    assert [place for place in uses(SLEEP, ("tests",)) if place.split()[0] not in looks] == []


def test_nothing_secret_comes_from_a_guessable_source() -> None:
    assert uses(RANDOM, PRODUCT, ("dev/",)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_entry_point_imports_the_wiring(service: str) -> None:
    wiring = f"igstats_{service}.app"
    importers = [name for name in python_files((*PRODUCT,)) if wiring in imported(name)]
    assert [name for name in importers if not name.endswith(f"igstats_{service}/__main__.py")] == []


def test_no_import_hides_inside_a_function() -> None:
    hidden = [
        f"{name}:{inner.lineno}"
        for name in python_files(("kit", "services", "client"))
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []
