"""PostgreSQL: who may do what on our server, compared with one role and one database for each service."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from igstats_audit.checks.report import Finding, Look, Looked, Severity, evidence

EXTENSIONS = frozenset({"plpgsql"})


# The deep sweep asks for a checkpoint before it reads raw files (docs/runbooks/deep-sweep.md); it shows no data.
_GRANTED = frozenset({"pg_checkpoint"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role that may log in, without the one that initdb made."""

    name: str
    attributes: frozenset[str] = frozenset()
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entrance:
    """A database that a role may enter although it does not own it. `service`: the owner is an ordinary role."""

    database: str
    owner: str
    role: str
    service: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """Something in our own database that somebody beside its owner may use."""

    what: str
    grantee: str
    privilege: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What our server and our database say about permissions."""

    database: str
    role: str
    owner: str
    roles: Sequence[Role]
    entrances: Sequence[Entrance]
    grants: Sequence[Grant]
    extensions: Sequence[str] = field(default_factory=lambda: sorted(EXTENSIONS))
    encrypted: bool = True
    remote: bool = False


ReadCatalogue = Callable[[], Awaitable[Catalogue]]


def roles(seen: Catalogue) -> Iterator[Finding]:
    """Roles that may do more than work in their own database."""
    for role in seen.roles:
        if role.attributes:
            text = "has attributes that no service needs: ALTER ROLE it without them"
            yield Finding(Severity.HIGH, role.name, text, evidence(attributes=",".join(sorted(role.attributes))))
        if others := [name for name in role.member_of if name not in _GRANTED]:
            text = "is a member of other roles and has their rights: REVOKE the memberships"
            yield Finding(Severity.HIGH, role.name, text, evidence(member_of=",".join(others)))


def entrances(seen: Catalogue) -> Iterator[Finding]:
    """Databases that somebody beside their owner may enter."""
    for one in seen.entrances:
        severity = Severity.HIGH if one.service else Severity.LOW
        text = "may be entered by a role that does not own it: REVOKE CONNECT, TEMPORARY ON DATABASE ... FROM PUBLIC"
        yield Finding(severity, one.database, text, evidence(role=one.role, owner=one.owner))


def own(seen: Catalogue) -> Iterator[Finding]:
    """What is open in our own database."""
    if seen.owner != seen.role:
        text = "does not belong to the role that works in it: ALTER DATABASE ... OWNER TO it"
        yield Finding(Severity.MEDIUM, seen.database, text, evidence(owner=seen.owner, role=seen.role))
    for grant in seen.grants:
        text = "may be used by somebody beside its owner: REVOKE it"
        yield Finding(Severity.HIGH, grant.what, text, evidence(grantee=grant.grantee, privilege=grant.privilege))
    for extension in sorted(set(seen.extensions) - EXTENSIONS):
        text = "is an extension that no migration makes: find out who did, and DROP EXTENSION it"
        yield Finding(Severity.MEDIUM, extension, text, evidence(database=seen.database))
    if seen.remote and not seen.encrypted:
        text = "is reached over a network without TLS: add ssl=verify-full to the database URL"
        yield Finding(Severity.HIGH, seen.database, text, evidence(server="remote", encrypted="no"))


def looks(read: ReadCatalogue) -> dict[str, Look]:
    """The check of this family by name."""

    async def look() -> Looked:
        seen = await read()
        scope = f"{len(seen.roles)} roles and every database of the server of {seen.database}"
        return Looked(scope, [*roles(seen), *entrances(seen), *own(seen)])

    return {"database.permissions": look}
