"""Declarations say when they are not complete."""

from typing import Any

from igstats_kit.declare import (
    Declarations,
    Subject,
    anchor,
    declared,
    delete,
    field,
    impersonal,
    lifetime,
    personal,
    plain,
    through,
)
from igstats_kit.describe import describe
from igstats_kit.tables import KIT_TABLES
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text


def _declared(subject: Subject) -> dict[str, Any]:
    return declared(subjects=[subject], purpose="test", legal_basis="contract", retention=lifetime(), on_erase=delete())


def _people(**info: object) -> Table:
    return Table(
        "people",
        MetaData(),
        Column("person_id", BigInteger, primary_key=True, info=plain()),
        Column("token", LargeBinary, unique=True, info=plain()),
        info=info or _declared(anchor("contact", key="person_id", tokens=["token"])),
    )


def test_the_kits_own_tables_are_declared() -> None:
    assert Declarations(KIT_TABLES).problems() == []


def test_a_complete_table_has_no_problem() -> None:
    assert Declarations([_people()]).problems() == []


def test_a_column_without_declaration_is_named() -> None:
    table = _people()
    table.append_column(Column("shoe_size", Text))
    assert Declarations([table]).problems() == [
        "column people.shoe_size is not declared: add info=personal(...) or plain()"
    ]


def test_a_table_without_declaration_is_named() -> None:
    table = Table("strays", MetaData(), Column("stray_id", BigInteger, primary_key=True, info=plain()))
    assert Declarations([table]).problems() == [
        "table strays has no data declaration: add info=declared(...) or impersonal(...)"
    ]


def test_an_impersonal_table_may_not_hold_a_personal_column() -> None:
    table = _people(**impersonal("counters"))
    table.append_column(Column("email", Text, info=personal("user.contact.email")))
    assert Declarations([table]).problems() == ["table people has personal column email but names no subject"]


def test_a_needle_without_index_is_named() -> None:
    table = _people()
    table.append_column(Column("email", Text, info=personal("user.contact.email", needle=True)))
    assert Declarations([table]).problems() == ["column people.email leads no index: erase and sweep would read it all"]


def test_a_path_must_end_at_an_anchor() -> None:
    notes = Table(
        "notes",
        MetaData(),
        Column("person_id", BigInteger, index=True, info=plain()),
        info=_declared(through("people", "person_id")),
    )
    assert Declarations([notes]).problems() == ["table notes goes through people, which is no anchor"]
    assert Declarations([notes, _people()]).problems() == []


def _with(
    name: str, *, table: Table | None = None, kind: type[Text | BigInteger | LargeBinary] = Text, **info: Any
) -> Table:
    made = _people() if table is None else table
    made.append_column(Column(name, kind, info=personal("user.name", **info)))
    return made


def test_a_description_tells_where_a_value_comes_from_and_whether_a_person_can_correct_it() -> None:
    table = _with("nick", provenance="provided", correctable=True)
    fields = {field.name: field for field in describe("toy", Declarations([table])).stores[0].fields}
    assert (fields["nick"].provenance, fields["nick"].correctable) == ("provided", True)
    assert (fields["person_id"].provenance, fields["person_id"].correctable) == ("", False)


def test_only_what_a_person_provided_or_we_observed_is_portable() -> None:
    found = {
        provenance: (declared := field(_with("nick", provenance=provenance).c.nick)) is not None and declared.portable
        for provenance in ("provided", "observed", "derived", "aggregate")
    }
    assert found == {"provided": True, "observed": True, "derived": False, "aggregate": False}


def test_bytes_are_not_exported() -> None:
    assert Declarations([_with("photo", kind=LargeBinary, exported=False)]).problems() == []
    assert Declarations([_with("photo", kind=LargeBinary)]).problems() == [
        "column people.photo holds bytes: declare it exported=False"
    ]


def test_a_correctable_column_is_text_and_no_needle() -> None:
    assert Declarations([_with("nick", correctable=True)]).problems() == []
    assert Declarations([_with("height", kind=BigInteger, correctable=True)]).problems() == [
        "correctable column people.height must be Text: corrections are text"
    ]
    needle = _with("nick", correctable=True, needle=True)
    assert "is a needle: tokens are made from it" in Declarations([needle]).problems()[1]


def test_a_correctable_column_is_in_a_table_with_one_row_a_person() -> None:
    def notes(*, unique: bool) -> Table:
        owner = Column("person_id", BigInteger, index=not unique, unique=unique, info=plain())
        return Table("notes", MetaData(), owner, info=_declared(through("people", "person_id")))

    assert Declarations([_people(), _with("motto", table=notes(unique=True), correctable=True)]).problems() == []
    assert Declarations([_people(), _with("motto", table=notes(unique=False), correctable=True)]).problems() == [
        "correctable column notes.motto is in a table with many rows a person: nothing says which row is meant"
    ]
