"""What an archive is made of: a page and a manual for people, and names that follow from the entries."""

import html.parser
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.event.v1.events_pb2 import RequestClosed
from igstats_audit import archive, manual, payloads, summary
from igstats_audit.model import Entry
from igstats_audit.note import NoteSigner
from igstats_audit.statements import Closing, Kept, LastWord, Statement
from igstats_audit.story import Exhibit, HolderKey, Story

MOMENT = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
ERASED = Statement(
    holder="stats",
    right="ERASURE",
    phase="ATTEST",
    outcome="RETAINED",
    counts=(("profiles", 1), ("media", 1234)),
    kept=(Kept("invoices", ("name", "sum"), "tax law <b>", 2, MOMENT + timedelta(days=3650)),),
    executed_at=MOMENT,
    effective_at=MOMENT + timedelta(days=7),
    digest=b"d" * 32,
    key_id="0123456789abcdef",
    signed=b"igstats/receipt/v1\n" + b"r" * 300,
    signature=b"s" * 64,
)


def entry(index: int, kind: str, payload: bytes) -> Entry:
    return Entry(index, MOMENT.date(), f"e{index}", kind, "req_1", "stats", 0, b"leaf", b"salt", payload, MOMENT)


def story(*said: Statement, state: str = "FULFILLED_IN_PART", words: Sequence[LastWord] | None = None) -> Story:
    listed = [LastWord(one.holder, one.outcome, one.digest) for one in said] if words is None else words
    receipts = [
        Exhibit(f"entries/{place:02}-receipt.issued", f"{place:02}", entry(place, "receipt.issued", b"p"), (), one)
        for place, one in enumerate(said, start=1)
    ]
    number = f"{len(said) + 1:02}"
    closed = Exhibit(f"entries/{number}-request.closed", number, entry(9, "request.closed", b"c"), (), None)
    closing = Closing(state, MOMENT, tuple(listed))
    keys = (HolderKey("stats", Ed25519PrivateKey.generate().public_key().public_bytes_raw()),)
    return Story("req_1", (*receipts, closed), closing, keys, "igstats.test/evidence", 12)


class Page(html.parser.HTMLParser):
    """Reads a page as a careful browser: every tag is closed, and nothing is asked for."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_in_words_what_was_done_what_stays_and_what_it_is_worth() -> None:
    page = Page(summary.page(story(ERASED)))
    for words in (
        "Evidence for request req_1",
        "Deletion of the person's data",
        "keeps some data for a legal reason",
        "media: 1,234",
        "23 November 2026, 12:00 UTC",
        "30 November 2026, 12:00 UTC",
        "invoices",
        "name, sum",
        "tax law <b>",
        "What this does not prove",
        "igstats receipt verify",
        "no check covers it",
    ):
        assert words in page.words


def test_the_page_runs_nothing_asks_for_nothing_and_can_be_read_aloud() -> None:
    text = summary.page(story(ERASED))
    page = Page(text)
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "img", "iframe", "form", "object", "a"})
    assert not {name for _, found in page.tags for name in found if name.startswith("on") or name in {"src", "href"}}
    assert "http:" not in text
    assert "url(" not in text
    assert ("html", {"lang": "en"}) in page.tags
    assert {"main", "h1", "title", "caption", "thead"} <= names
    assert all("scope" in found for tag, found in page.tags if tag == "th")
    assert any("default-src 'none'" in (found.get("content") or "") for _, found in page.tags)


@pytest.mark.parametrize("state", ["FULFILLED", "DENIED", "WITHDRAWN", "EXPIRED", "SOMETHING_NEW"])
def test_every_end_has_a_page(state: str) -> None:
    assert state in Page(summary.page(story(state=state))).words


def test_a_holder_whose_statement_is_not_here_is_shown_as_such() -> None:
    page = Page(summary.page(story(ERASED, words=[LastWord("mail", "NEW_OUTCOME", b"x" * 32)])))
    assert "no statement is here" in page.words
    assert "NEW_OUTCOME" in page.words


def test_what_no_holder_has_dated_is_not_said_to_be_true_at_once() -> None:
    said = Statement("mail", "ERASURE", "ATTEST", "ERASED", (), (), *_rest())
    page = Page(summary.page(story(said)))
    assert "not stated" in page.words
    assert "at once" not in page.words


def test_nothing_from_a_statement_becomes_markup() -> None:
    evil = "<script>alert(1)</script>"
    said = Statement(evil, evil, evil, evil, ((evil, 1),), (Kept(evil, (evil,), evil, 1, None),), *_rest())
    told = story(said)
    page = Page(summary.page(Story(evil, told.exhibits, told.closing, told.keys, evil, 1)))
    assert "script" not in {tag for tag, _ in page.tags}
    assert evil in page.words


def _rest() -> tuple[Any, ...]:
    return MOMENT, None, b"d" * 32, "id", b"signed", b"signature"


def test_the_manual_names_the_files_that_are_there() -> None:
    told = story(ERASED)
    words = manual.text(told)
    key = "keys/holders/stats.0123456789abcdef.pem"
    assert f"-inkey {key} -rawin -in receipts/01-stats-ATTEST.signed -sigfile receipts/01-stats-ATTEST.sig" in words
    assert "cmp -i 19:3 -n 300 receipts/01-stats-ATTEST.signed entries/01-receipt.issued.payload" in words
    assert "WHAT THIS DOES NOT PROVE" in words


def test_the_manual_says_whose_lines_the_checkpoint_has_and_what_they_are_worth() -> None:
    alone, witnessed = (
        manual.text(replace(story(ERASED), witnesses=names)) for names in ((), ("w.test/1", "w.test/2"))
    )
    assert "No witness had signed" in alone
    assert "--witness-key" not in alone
    assert "of a witness: w.test/1, w.test/2." in witnessed
    assert "igstats receipt verify --witness-key KEY FILE.zip" in witnessed
    assert "No witness" not in witnessed


def test_the_zip_holds_the_files_in_order_and_is_always_the_same() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signer = NoteSigner("igstats.test/evidence", pem)
    note = signer.sign("igstats.test/evidence\n12\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
    files = archive.files(story(ERASED), note, signer.verifier_keys)
    content = archive.packed(files, MOMENT)
    assert content == archive.packed(files, MOMENT)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.namelist() == list(files)
        assert opened.namelist()[:3] == ["README.txt", "index.html", "request.json"]
        assert {info.date_time for info in opened.infolist()} == {(2026, 11, 23, 12, 0, 30)}


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x02\x28\x63"])
def test_an_entry_that_is_no_receipt_that_can_be_read_stands_alone(payload: bytes) -> None:
    assert payloads.read_receipt(payload) is None


def test_a_closing_is_read_with_its_states_and_digests() -> None:
    closed = RequestClosed(request_id="req_1", state="REQUEST_STATE_FULFILLED")
    closed.closed_time.FromDatetime(MOMENT)
    closed.holders.add(holder="stats", outcome="OUTCOME_ERASED", receipt_digest=b"d" * 32)
    read = payloads.read_closing(closed.SerializeToString())
    assert read == Closing("FULFILLED", MOMENT, (LastWord("stats", "ERASED", b"d" * 32),))
