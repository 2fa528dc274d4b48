"""A value is told from a piece of somebody else's longer one, wherever it stands."""

import asyncio
import string
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from igstats_kit.deep_sweep import files
from igstats_kit.deep_sweep.edges import BEFORE, Edges
from igstats_kit.deep_sweep.model import Erased, Needles

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LETTERS = string.ascii_lowercase + string.digits + "_"
NAMES = st.text(LETTERS, min_size=6, max_size=22).filter(lambda name: not name.isdigit())
EDGES = st.sampled_from(['"', "'", "/", "\0", " ", "\n", ",", ":", "@", "=", "(", ")", "<", ">", "?", "#", "\\", "-"])

FOUND = [
    ("bench1", b'{"username": "bench1", "followers": 3}'),
    ("bench1", b"https://www.instagram.com/bench1/?hl=en"),
    ("bench1", b"https://www.instagram.com/bench1"),
    ("bench1", b"/media/bench1.jpg"),
    ("bench1", b"thanks to @bench1."),
    ("bench1", b"page\0\0bench1\0\0"),
    ("bench1", b'{"note": "hello\\nbench1\\tbye"}'),
    ("bench1", b'{"note": "\\u00a0bench1"}'),
    ("bench1", b"q=to%20bench1%26x"),
    ("bench1", b"bench12, bench1"),
    ("17841400000000001", b"user_17841400000000001_export.json"),
    ("17841400000000001", b"id=17841400000000001"),
    ("ana@example.org", b"<ana@example.org>"),
    ("ana@example.org", b"mailto:ana@example.org?subject=x"),
    ("ana@example.org", b"from ana@example.org."),
    ("Ann Lee", b"by Ann Lee.Next"),
    ("https://ann.example/", b"https://ann.example/about"),
]
PIECES = [
    ("bench1", b"bench12"),
    ("bench1", b"workbench1"),
    ("bench1", b"bench1_backup"),
    ("bench1", b"the.bench1"),
    ("bench1", b"bench1.two"),
    ("bench1", b"https://www.instagram.com/bench1.two/"),
    ("ananas", b"bananas"),
    ("17841400000000001", b"178414000000000012"),
    ("17841400000000001", b"1617841400000000001"),
    ("ana@example.org", b"diana@example.org"),
    ("ana@example.org", b"maria.ana@example.org"),
    ("ana@example.org", b"ana@example.org.uk"),
    ("Ann Lee", b"Ann Leeds"),
    ("https://ann.example", b"https://ann.example2"),
]


@pytest.mark.parametrize(("value", "content"), FOUND)
def test_a_value_that_stands_for_itself_is_found(value: str, content: bytes) -> None:
    assert Edges(value).alone(content)


@pytest.mark.parametrize(("value", "content"), PIECES)
def test_a_piece_of_a_longer_name_is_not_the_name(value: str, content: bytes) -> None:
    assert not Edges(value).alone(content)


@given(NAMES, EDGES, EDGES)
def test_a_name_is_found_between_any_two_edges(name: str, before: str, after: str) -> None:
    assert Edges(name).alone(f"x{before}{name}{after}x".encode())


@given(st.integers(min_value=10**5), st.sampled_from(string.ascii_letters + "_."), st.sampled_from(string.digits))
def test_an_id_goes_on_with_digits_only(number: int, other: str, digit: str) -> None:
    assert Edges(str(number)).alone(f"{other}{number}{other}".encode())
    assert not Edges(str(number)).alone(f"{number}{digit * 30}".encode())


@given(NAMES, st.sampled_from(LETTERS))
def test_a_name_is_not_found_in_a_longer_one(name: str, more: str) -> None:
    assert not Edges(name).alone(f"{name}{more * 30}".encode())
    assert not Edges(name).alone(f"{more * 30}{name}".encode())


@given(st.text(string.ascii_lowercase, min_size=6, max_size=100), st.binary(max_size=9), st.binary(max_size=9))
@example("a" * 23, b"", b"K")  # the header of a text of 23 bytes is the digit 1
def test_a_whole_value_is_found_behind_its_length_whatever_follows(name: str, before: bytes, after: bytes) -> None:
    for length in (len(name), 2 * len(name) + 3):
        assert Edges(name).alone(before + bytes([length]) + name.encode() + after)


def stored(text: str) -> bytes:
    """A text as a row of PostgreSQL holds it; the next byte is the header of 23 bytes more, the digit 1."""
    raw = text.encode()
    header = bytes([2 * len(raw) + 3]) if len(raw) <= 126 else (4 * (len(raw) + 4)).to_bytes(4, "little")
    return b"\x07\0\0\0" + header + raw + b"1" + b"x" * 23


TEXTS = st.text(string.ascii_letters + string.digits + " .,@\näß€😀", max_size=400).map(lambda text: text + " ")


@given(NAMES, TEXTS)
@example("bench1", "x" * 40 + "ä" * 20 + " ")
@example("bench1", "ä" * 55 + " ")
@example("bench1", "x" * 119 + " ")
@example("bench1", "x" * 120 + " ")
@example("bench1", "x" * BEFORE + " ")
def test_a_name_at_the_end_of_a_longer_text_is_found_where_the_length_is_no_character(name: str, text: str) -> None:
    length = len((text + name).encode())
    looks_like_text, too_far = 15 <= length <= 61, length > BEFORE
    assume(name not in text)
    assert Edges(name).alone(stored(text + name)) is not (looks_like_text or too_far)


@given(NAMES, TEXTS, st.text(LETTERS, min_size=1, max_size=400))
@example("bench1", "", "x" * 24)
def test_a_longer_name_is_not_the_name_however_long_the_text_that_holds_it(name: str, text: str, more: str) -> None:
    assume(name not in text)
    assert not Edges(name).alone(stored(text + name + more))


CUT = [b"!bench1!", b"!bench12!", b"!workbench1!", stored("x" * 150 + " bench1"), stored("x" * 150 + " bench12")]


@given(st.integers(min_value=0, max_value=80), st.sampled_from(CUT))
@example(0, stored("x" * 150 + " bench1"))
def test_where_a_file_is_cut_into_pieces_changes_nothing(at: int, text: bytes) -> None:
    needles = Needles([Erased("req_1", ("bench1", "a much longer value"), NOON, last=False)])
    content = b"." * (BEFORE + at) + text + b"." * (80 - at)
    with TemporaryDirectory() as folder, patch.object(files, "_PIECE", 32):
        path = Path(folder) / "file"
        path.write_bytes(content)
        assert asyncio.run(files.within(path, needles)) == needles.within(content)
