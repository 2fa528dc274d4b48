"""docs/telemetry.md is the register of metrics and log fields: nothing is missing there, nothing is left over."""

import ast
import re
from collections.abc import Iterator

from codebase import python_files, text, tree
from igstats_kit.log import FIELDS

PAGE = text("docs/telemetry.md")
KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info"}
PERSONAL = {"account_id", "key_id", "contact_id", "profile_id", "request_id", "call_id", "username", "email"}


def defined() -> Iterator[tuple[str, str, list[str]]]:
    """(place, metric, labels) of every metric that the kit and the services define."""
    for name in python_files(("kit", "services")):
        for node in ast.walk(tree(name)):
            match node:
                case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(metric)), *rest]) if kind in KINDS:
                    lists = [part for part in rest if isinstance(part, ast.List)]
                    labels = [ast.literal_eval(label) for part in lists for label in part.elts]
                    yield f"{name}:{node.lineno}", metric, labels


def described() -> list[tuple[str, list[str]]]:
    rows = re.findall(r"^\| `(igstats_\w+)` \| ([\w, ]*)\|", PAGE, re.MULTILINE)
    return [(metric, re.findall(r"\w+", labels)) for metric, labels in rows]


def test_every_metric_is_described_once_with_its_labels_and_no_other() -> None:
    assert sorted((metric, labels) for _, metric, labels in defined()) == sorted(described())


def test_metrics_are_defined_once_in_a_telemetry_module_and_named_after_us() -> None:
    places = [(place, metric) for place, metric, _ in defined()]
    assert len({metric for _, metric in places}) == len(places)
    assert [place for place, _ in places if "/telemetry.py:" not in place] == []
    assert [metric for _, metric in places if not re.fullmatch(r"igstats(_[a-z]+)+", metric)] == []


def test_no_label_names_a_person() -> None:
    assert [place for place, _, labels in defined() if PERSONAL & set(labels)] == []


def test_every_log_field_is_described_and_no_other() -> None:
    fields = PAGE.partition("Fields: ")[2]
    assert set(re.findall(r"`(\w+)`", fields)) == set(FIELDS)
