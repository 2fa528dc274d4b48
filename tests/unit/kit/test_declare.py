"""Declarations say when they are not complete."""

from typing import Any

from igstats_kit.declare import (
    Declarations,
    Subject,
    anchor,
    declared,
    delete,
    impersonal,
    lifetime,
    personal,
    plain,
    through,
)
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
