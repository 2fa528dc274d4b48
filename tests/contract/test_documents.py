"""Documents match the repository: links lead somewhere, files and commands exist, tables are what the code says."""

import importlib
import re
from pathlib import PurePosixPath

import pytest
from codebase import ROOT, files, text
from igstats_kit.config import ServiceConfig
from igstats_kit.events import Stream
from sqlalchemy import MetaData

DOCUMENTS = [name for name in files() if name.endswith(".md") and not name.startswith(("tests/", "bench/"))]
LINK = re.compile(r"\[[^\]]+\]\(([^)#:]+)\)")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")
ROOMS = ("kit/", "services/", "protos/", "dev/", "client/", "tests/", "tools/", "docs/", "deploy/", "bench/")
TARGET = re.compile(r"make ([a-z-]+(?: [a-z-]+)*)`")
ADR_LINES = 60


def exists(path: str) -> bool:
    return (ROOT / path).exists()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    folder = PurePosixPath(document).parent
    assert [link for link in LINK.findall(text(document)) if not exists(str(folder / link))] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_is_there(document: str) -> None:
    named = [path for path in PATH.findall(text(document)) if path.startswith(ROOMS)]
    assert [path for path in named if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_named_is_there(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE))
    named = {word for words in TARGET.findall(text(document)) for word in words.split()}
    assert named - targets == set()


def test_decisions_are_numbered_without_gaps_and_fit_on_a_page() -> None:
    decisions = sorted(name for name in DOCUMENTS if name.startswith("docs/adr/"))
    numbers = [int(PurePosixPath(name).stem[:4]) for name in decisions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [name for name in decisions if text(name).count("\n") > ADR_LINES] == []


def streams() -> dict[str, set[str]]:
    """Stream -> subjects, of every stream that a service declares."""
    found: dict[str, set[str]] = {}
    for service in ("gateway", "stats", "privacy", "audit"):
        module = importlib.import_module(f"igstats_{service}.events")
        values = [value for value in vars(module).values() if isinstance(value, Stream | tuple)]
        flat = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        found |= {part.name: set(part.subjects) for part in flat if isinstance(part, Stream)}
    return found


def test_the_streams_of_the_architecture_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \| ([^|]+) \|", text("docs/architecture.md"), re.MULTILINE)
    assert {name: set(re.findall(r"`([^`]+)`", subjects)) for name, subjects in rows} == streams()


SERVICES = ("gateway", "stats", "privacy", "audit")


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_of_a_service_names_its_tables_and_settings(service: str) -> None:
    page = text(f"services/{service}/README.md")
    metadata: MetaData = importlib.import_module(f"igstats_{service}.tables").metadata
    config = getattr(importlib.import_module(f"igstats_{service}.config"), f"{service.capitalize()}Config")
    settings = {name.upper() for name in config.model_fields if name not in ServiceConfig.model_fields}
    words = set(re.findall(r"`([^`]+)`", page))
    assert ({table.name for table in metadata.sorted_tables} | settings) - words == set()


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_with_a_default_means_something_when_it_is_empty(service: str) -> None:
    """An empty variable counts as one that is not set (`env_ignore_empty`): the default would come instead."""
    page = text(f"services/{service}/README.md")
    rows = re.findall(r"^\| `([A-Z_]+)`[^|]*\| ([^|]*) \|([^|]*)\|", page, re.MULTILINE)
    assert [name for name, default, words in rows if default.strip() not in {"", "empty"} and "empty" in words] == []


def test_the_page_of_the_kit_names_every_setting_that_all_services_have() -> None:
    fields = ServiceConfig.model_fields.items()
    settings = {str(field.validation_alias or name).upper().removeprefix("IGSTATS_") for name, field in fields}
    assert settings - set(re.findall(r"`([^`]+)`", text("kit/README.md"))) == set()


def test_every_clause_of_the_policy_has_a_row_that_says_what_makes_it_true() -> None:
    clauses = re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", text("docs/policy.md"), re.MULTILINE)
    parents = {clause.partition(".")[0] for clause in clauses if "." in clause}
    rows = set(re.findall(r"^\| (\d+(?:\.\d+)?) \|", text("docs/clauses.md"), re.MULTILINE))
    assert len(clauses) > 10
    assert set(clauses) - parents - rows == set()
