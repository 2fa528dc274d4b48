"""What goes into the evidence log: kinds that every reader knows, and payloads in which no field is a person's name."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import protovalidate
import pytest
from codebase import python_files, tree
from igstats.audit.v1.audit_service_pb2 import NewEntry
from igstats_audit import model
from igstats_audit.evidence import require_free
from igstats_client import archive
from igstats_client.verdict import Findings
from igstats_kit.errors import DomainError

FIELDS = {
    *("added", "applied", "breach_id", "categories", "child", "clock", "counts", "discovered", "due", "enabled"),
    *("ended", "event", "ground", "groups", "head", "hold", "holder", "item", "key_id", "language", "letter"),
    *("lists", "method", "methods", "new_head", "number", "officer", "opened", "outcome", "outcomes", "percent"),
    *("person_count", "phase", "preview", "pull", "reason", "request_id", "result", "resumed", "right", "run_id"),
    *("sequence", "started", "stores", "tier", "wait", "why"),
}
"""Ids, numbers, times, words of closed lists. `officer` is an id, too: see `test_officers_go_by_ids`."""

TOLD_ELSEWHERE = {
    "services/audit/igstats_audit/call_store.py": "docs/api-log.md lists them; names of filters, never their values",
    "services/audit/igstats_audit/monitor/finding_store.py": "a finding of a log: which log, kind, place, detail",
    "services/privacy/igstats_privacy/consumer.py": "a refusal: checks, holders and digests of a receipt",
    "kit/igstats_kit/deep_sweep/worker.py": "counts and places of a search",
}
"""Payloads that are made in another place than the record."""


def records(name: str) -> Iterator[tuple[ast.AsyncFunctionDef, ast.expr]]:
    """Calls that make a record, each with the function that it stands in and its payload."""
    for function in ast.walk(tree(name)):
        if isinstance(function, ast.AsyncFunctionDef):
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Name(id="record"), args=[_, _, _, payload]):
                        yield function, payload


def dicts(name: str, function: ast.AsyncFunctionDef, payload: ast.expr) -> list[ast.Dict]:
    """The dictionaries that a payload is made of: in its place, under a name, or handed in by a function beside it."""
    if isinstance(payload, ast.Dict):
        parts = [value for key, value in zip(payload.keys, payload.values, strict=True) if key is None]
        return [payload, *(one for part in parts for one in dicts(name, function, part))]
    if not isinstance(payload, ast.Name):
        return []
    found = [one for node in ast.walk(function) for one in _assigned(node, payload.id)]
    found += [part for one in found for part in dicts(name, function, one) if part is not one]
    if payload.id in {one.arg for one in function.args.args}:
        found += [one for node in ast.walk(tree(name)) for one in _handed(node, function.name)]
    return found


def _assigned(node: ast.AST, name: str) -> Iterator[ast.Dict]:
    match node:
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AugAssign(target=ast.Name(id=target)) if target == name:
            yield from (one for one in ast.walk(node.value) if isinstance(one, ast.Dict))
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=target), *_])]) if target == name:
            yield from (one for one in ast.walk(node.value) if isinstance(one, ast.Dict))


def _handed(node: ast.AST, function: str) -> Iterator[ast.Dict]:
    match node:
        case ast.Call(func=ast.Attribute(attr=called)) if called == function:
            yield from (one for one in node.args if isinstance(one, ast.Dict))


RECORDING = [name for name in python_files(("kit", "services")) if any(records(name))]


def keys_of(name: str) -> set[str]:
    """Fields of all records that a file makes."""
    made = [one for function, payload in records(name) for one in dicts(name, function, payload)]
    return {ast.literal_eval(key) for one in made for key in one.keys if key is not None}


def test_the_list_holds_what_records_say_and_nothing_else() -> None:
    assert set().union(*map(keys_of, set(RECORDING) - set(TOLD_ELSEWHERE))) == FIELDS
    assert set(TOLD_ELSEWHERE) <= set(RECORDING)


@pytest.mark.parametrize("name", sorted(set(RECORDING) - set(TOLD_ELSEWHERE)))
def test_every_field_of_a_record_is_on_the_list_and_none_is_a_name(name: str) -> None:
    for function, payload in records(name):
        assert dicts(name, function, payload), f"line {payload.lineno}: which fields are these?"
    assert keys_of(name) <= FIELDS


def test_officers_go_by_ids() -> None:
    """Only `OfficerIds.of` makes the value of a field `officer`, or it is named `by` and was made so by the caller."""
    values = [
        ast.unparse(value)
        for name in RECORDING
        for function, payload in records(name)
        for one in dicts(name, function, payload)
        for key, value in zip(one.keys, one.values, strict=True)
        if key is not None and ast.literal_eval(key) == "officer"
    ]
    assert len(values) >= 8
    assert [
        value for value in values if value != "by" and not re.fullmatch(r"self\._officer_ids\.of\(\w+\)", value)
    ] == []


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        *[(kind, True) for kind in ("key.revoked", "security_audit.finished", "a.b_c.d", "a_b.c")],
        *[(kind, False) for kind in ("key", "_a.b", "a._b", "a.b.", ".a", "A.b", "a.b1", "a b.c", "a.b\n", "")],
    ],
)
def test_proto_log_and_verifier_agree_on_what_a_kind_is(kind: str, known: bool) -> None:  # noqa: FBT001 - a case
    message = NewEntry(entry_id="evt_1", kind=kind, producer="stats", payload=b"{}")
    violations = protovalidate.Validator().collect_violations(message)
    assert (not violations) is known
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    try:
        require_free([model.NewEntry("evt_1", kind, "", "stats", b"{}", moment)], "entries")
    except DomainError:
        assert not known
    else:
        assert known
    files = {f"entries/01-{kind}.{part}": b"" for part in ("payload", "salt", "leaf", "tlog-proof")}
    assert [one.kind for one in archive.open_archive(files, Findings()).exhibits] == [kind] * known
