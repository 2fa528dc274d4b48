"""CSV of rows: what a program reads back is what was there, and a spreadsheet runs nothing."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy import sheets

ODD = st.one_of(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    st.sampled_from(
        [
            "",
            '"',
            "'",
            "''=1",
            "=cmd|' /C calc'!A0",
            "+1",
            "-1",
            "@x",
            "\t=1",
            "\r\n",
            'a"b,c\nd',
            "\uff1d1",
            "ünïcödé 🦊",
        ]
    ),
)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), ODD, st.lists(ODD), st.dictionaries(ODD, st.integers()))


def read_back(sheet: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(sheet.decode(), newline="")))


def unguarded(cell: str) -> str:
    return cell.removeprefix("'")


@given(st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), max_size=5))
def test_a_sheet_says_the_same_as_the_json_lines(rows: list[dict[str, Any]]) -> None:
    sheet = sheets.header(["a", "b"]) + b"".join(sheets.row(["a", "b"], row) for row in rows)
    head, *lines = read_back(sheet)
    assert head == ["a", "b"]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for cell, value in zip(line, (row["a"], row["b"]), strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, str):
                assert unguarded(cell) == value
            else:
                assert json.loads(unguarded(cell)) == value


@given(ODD)
def test_no_text_begins_like_a_formula(text: str) -> None:
    ((cell,),) = read_back(sheets.row(["a"], {"a": text})) or ((text,),)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))  # noqa: RUF001 - they are meant


@pytest.mark.parametrize(("value", "cell"), [(None, ""), ("", '""'), (-5, "-5"), (True, "true"), ("-5", '"\'-5"')])
def test_missing_empty_and_numbers_differ(value: object, cell: str) -> None:
    assert sheets.row(["a"], {"a": value}) == f"{cell}\r\n".encode()
