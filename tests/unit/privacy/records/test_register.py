"""The register of processing in its three forms."""

import csv
import io
import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats.holder.v1.description_pb2 import (
    EraseAction,
    FieldDescription,
    HolderDescription,
    StoreDescription,
    StoreKind,
    SubjectKind,
)
from igstats_privacy.records import messages
from igstats_privacy.records.activities import SECURITY, TRANSFERS, Controller, Register, Stored, register
from igstats_privacy.records.register_forms import FORMS, as_csv, as_html, as_json

CONTROLLER = Controller(
    "Example <Corp>", "privacy@example.com", "https://example.com/privacy", "1 Street", "dpo@example.com", "+1-555-0123"
)
MADE = datetime(2026, 11, 28, 12, tzinfo=UTC)
NAMES = st.text("abcdef_", min_size=1, max_size=8)


def stored(name: str = "contacts", *, holder: str = "gateway", purpose: str = "provide the API") -> Stored:
    categories = ("user.contact.email", "user.name")
    return Stored(holder, name, "TABLE", "CONTACT", purpose, "contract", categories, "30 days", "DELETE")


def made(*stores: Stored) -> Register:
    return register(stores or (stored(),), CONTROLLER, MADE, ("gateway: inbox",))


class Page(HTMLParser):
    """Collects the tags that are open, what they load, and the text."""

    void = frozenset({"meta", "br", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in self.void:
            self.open.append(tag)
        self.loads += [str(found[name]) for name in ("src", "data") if name in found]
        self.loads += [str(found["href"])] if tag == "link" else []
        self.ids += [str(found["id"])] if "id" in found else []
        self.targets += [str(found["href"])[1:]] if tag == "a" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_what_a_holder_does_for_one_purpose_on_one_ground_is_one_activity() -> None:
    found = made(stored("contacts"), stored("accounts"), stored("bills", purpose="send bills")).activities
    assert [(one.purpose, one.stores) for one in found] == [
        ("provide the API", ("accounts", "contacts")),
        ("send bills", ("bills",)),
    ]
    assert found[0].persons == ("contact persons of API customers",)
    assert found[0].groups == ("identifiers",)


@given(st.lists(st.builds(stored, NAMES, holder=NAMES, purpose=NAMES), min_size=1))
def test_no_store_is_lost_and_every_entry_has_all_that_article_30_asks_for(stores: list[Stored]) -> None:
    found = made(*stores)
    named = {(one.holder, store) for one in found.activities for store in one.stores}
    assert named == {(one.holder, one.store) for one in stores}
    for one in found.activities:
        for part in (one.purpose, one.legal_basis, one.persons, one.categories, one.recipients, one.retention):
            assert part
    assert found.transfers == TRANSFERS
    assert found.security == SECURITY


def test_the_register_is_made_from_what_holders_declare() -> None:
    fields = [FieldDescription(name="email", category="user.contact.email"), FieldDescription(name="number")]
    personal = StoreDescription(store="contacts", purpose="provide the API", legal_basis="contract", fields=fields)
    personal.kind, personal.subject_kind = StoreKind.STORE_KIND_TABLE, SubjectKind.SUBJECT_KIND_CONTACT
    personal.on_erase, personal.retention = EraseAction.ERASE_ACTION_REDACT, "30 days"
    nobody = StoreDescription(store="inbox", subject_kind=SubjectKind.SUBJECT_KIND_NONE)
    found, impersonal = messages.stored([HolderDescription(holder="gateway", stores=[personal, nobody])])
    assert [(one.store, one.persons, one.categories, one.erasure) for one in found] == [
        ("contacts", "CONTACT", ("user.contact.email",), "REDACT")
    ]
    assert impersonal == ["gateway: inbox"]


def test_the_json_has_everything() -> None:
    found = json.loads(as_json(made()))
    assert found["controller"]["dpo_email"] == "dpo@example.com"
    assert found["activities"][0]["categories"] == ["user.contact.email", "user.name"]
    assert found["transfers"] == list(TRANSFERS)


def test_the_csv_has_a_line_for_each_activity_and_no_formula() -> None:
    (line,) = csv.DictReader(io.StringIO(as_csv(made()).decode(), newline=""))
    assert line["categories"] == "user.contact.email; user.name"
    assert line["security"] == "; ".join(SECURITY)
    assert line["controller_dpo_phone"] == "'+1-555-0123"
    for risky in ("=1+1", "\n=1+1", "＝1+1", "'=1+1"):  # noqa: RUF001 - full-width forms count in East Asia
        assert all(one["purpose"] == f"'{risky}" for one in rows(as_csv(made(stored(purpose=risky)))))


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_page_is_whole_loads_nothing_and_escapes_what_it_is_given() -> None:
    page = Page(as_html(made(stored(), stored("days", holder="stats"))).decode())
    assert page.open == []
    assert page.loads == []
    assert "Example <Corp>" in page.words
    assert set(page.targets) <= set(page.ids)
    for words in ("dpo@example.com", "contract", "30 days", "gateway: inbox", *TRANSFERS, *SECURITY):
        assert words in page.words


@pytest.mark.parametrize("form", ["json", "csv", "html"])
def test_every_form_has_a_media_type(form: str) -> None:
    render, media_type = FORMS[form]
    assert media_type.partition("/")[0] in {"text", "application"}
    assert b"provide the API" in render(made())
