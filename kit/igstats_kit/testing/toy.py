"""A small holder with two tables, to test what the kit derives from declarations."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, LargeBinary, MetaData, Table, Text, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from igstats_kit.declare import Declarations, anchor, days, declared, delete, lifetime, personal, plain, through
from igstats_kit.fence import admit
from igstats_kit.pins import Pins
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import KIT_TABLES
from igstats_kit.testing.coordinator import Person
from igstats_kit.tokens import Tokens

METADATA = MetaData()
SEALER = Sealer(b"s" * 32)
PINS = Pins(SEALER)

people = Table(
    "people",
    METADATA,
    Column("person_id", BigInteger, Identity(), primary_key=True, info=plain()),
    Column("subject_token", LargeBinary, nullable=False, unique=True, info=plain()),
    Column("email", Text, nullable=False, index=True, info=personal("user.contact.email", needle=True)),
    Column("nick", Text, nullable=False, server_default="", info=personal("user.name", correctable=True)),
    Column("score", Text, nullable=False, server_default="", info=personal("user.behavior", provenance="derived")),
    info=declared(
        subjects=[anchor("contact", key="person_id", tokens=["subject_token"])],
        purpose="test",
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

notes = Table(
    "notes",
    METADATA,
    Column("note_id", BigInteger, Identity(), primary_key=True, info=plain()),
    Column("person_id", BigInteger, nullable=False, info=plain()),
    Column("body", Text, nullable=False, info=personal("user.content")),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    Index("notes_person_id", "person_id"),
    info=declared(
        subjects=[through("people", "person_id")],
        purpose="test",
        legal_basis="contract",
        retention=days(30),
        on_erase=delete(),
    ),
)

DECLARATIONS = Declarations([people, notes, *KIT_TABLES])


def somebody(number: int) -> Person:
    """A made-up person."""
    email = f"person-{number}@toy.example"
    return Person({"EMAIL": email}, (email,))


def nick(person: Person) -> str:
    """What the toy's source calls a person."""
    return f"nick of {person.identifiers['EMAIL']}"


async def seed(database: Database, tokens: Tokens, person: Person, pins: Pins = PINS) -> None:
    """Writes a person with two notes as a sync would: it asks the fence, and keeps what the person had corrected.

    Raises:
        DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
    """
    email = person.identifiers["EMAIL"]
    token = tokens.of("EMAIL", email)
    async with database.transaction() as connection:
        await admit(connection, [token])
        said = {token: {"email": email, "nick": nick(person), "score": f"score of {email}"}}
        settled = (await pins.settle(connection, people.name, said))[token]
        row = upsert(people).values(subject_token=token, **settled)
        await connection.execute(row.on_conflict_do_update(index_elements=["subject_token"], set_=settled))
        person_id = await connection.scalar(select(people.c.person_id).where(people.c.subject_token == token))
        bodies = [f"first note to {email}", f"second note to {email}"]
        rows = [{"person_id": person_id, "body": body, "created_at": datetime.now(UTC)} for body in bodies]
        await connection.execute(insert(notes), rows)
