"""A rule of a checker may be lifted on one line, by its code and with a reason."""

import io
import re
import tokenize

import pytest
from codebase import python_files, text

LIFTED = re.compile(r"#\s*(noqa|type:\s*ignore)", re.IGNORECASE)
WITH_REASON = re.compile(
    r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \w.+|# type: ignore\[[\w, -]+\]  ?(#|-) ?\w.+", re.IGNORECASE
)


def comments(source: str) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def unexplained(source: str) -> list[str]:
    return [
        f"{line}: {comment}"
        for line, comment in comments(source)
        if LIFTED.search(comment) and not WITH_REASON.search(comment)
    ]


def test_every_suppression_has_a_code_and_a_reason() -> None:
    assert [f"{name}:{found}" for name in python_files() for found in unexplained(text(name))] == []


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa", "x = 1  # noqa: S105", "x = 1  # type: ignore", "x = 1  # type: ignore[arg-type]"]
)
def test_a_bare_suppression_would_be_found(line: str) -> None:
    assert unexplained(line) == [f"1: {line[7:]}"]


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa: S105 - a reason, not a password", "x = 1  # type: ignore[arg-type]  # stub is wrong"]
)
def test_a_suppression_with_its_reason_passes(line: str) -> None:
    assert unexplained(line) == []
