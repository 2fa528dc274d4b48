"""What an account can do with itself: contacts, billing, keys, usage, its own call log."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.mail import mail_address
from ulid import ULID

from igstats_gateway import keys
from igstats_gateway.keys import ApiKey, Pepper
from igstats_gateway.limits import MINUTE
from igstats_gateway.model import (
    Account,
    AccountChange,
    Billing,
    Call,
    Caller,
    CallFilter,
    CallPage,
    Contact,
    StoredKey,
    Usage,
)
from igstats_gateway.store import Store, contact_id

_DEFAULT_DAYS = 30
_MOST_DAYS = 366


class CallLog(Protocol):
    """Where the account's calls can be read."""

    async def calls(self, asking: Call, wanted: CallFilter, page_size: int, page_token: str) -> CallPage:
        """A page of calls of the asking account, newest first."""
        ...

    def export(self, asking: Call, wanted: CallFilter) -> AsyncGenerator[bytes, None]:
        """All of them that fit, as JSON lines."""
        ...


@dataclass(frozen=True)
class NewAccount:
    """An account just made, with its first key, which is shown this once."""

    account_id: str
    contact_id: str
    key_id: str
    key: str


class Accounts:
    """The use cases of accounts."""

    def __init__(self, store: Store, call_log: CallLog, pepper: Pepper, clock: Clock) -> None:
        self._store = store
        self._call_log = call_log
        self._pepper = pepper
        self._clock = clock

    async def get(self, account_id: str) -> Account:
        """The account.

        Raises:
            DomainError: ACCOUNT_NOT_FOUND.
        """
        return _found(await self._store.account(account_id))

    async def update(self, account_id: str, change: AccountChange) -> Account:
        """The account after the change.

        Raises:
            DomainError: FIELD_INVALID, also for a contact that may not be stored; RATE_LIMITED after too many of those;
                ACCOUNT_NOT_FOUND, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        _require_addresses(change.contacts)
        try:
            return _found(await self._store.change_account(account_id, change, self._clock.now()))
        except LookupError as error:
            raise _invalid(f"contacts[{error.args[0]}].contact_id", "is no contact of the account") from error

    async def create_key(
        self, caller: Caller, label: str, scopes: Sequence[str], expire: datetime | None
    ) -> tuple[StoredKey, str]:
        """A new key, and its text. It can do no more than the key that makes it, and no longer.

        Raises:
            DomainError: SCOPE_MISSING, FIELD_INVALID, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        for scope in scopes:
            if scope not in caller.scopes:
                raise DomainError(Reason.SCOPE_MISSING, scope=scope)
        expire = self._end(caller, expire)
        key = keys.make()
        made = _stored(self._pepper, key, caller.account_id, label, scopes, self._clock.now())
        stored = replace(made, expire_time=expire)
        await self._store.add_key(stored)
        return stored, key.text

    def _end(self, caller: Caller, wanted: datetime | None) -> datetime | None:
        """When the new key ends: as wished, with the caller's at the latest."""
        if wanted is None:
            return caller.expire_time
        if wanted <= self._clock.now():
            raise _invalid("expire_time", "is in the past")
        if caller.expire_time is not None and wanted > caller.expire_time:
            raise _invalid("expire_time", "is later than the end of the calling key")
        return wanted

    async def keys(self, account_id: str) -> Sequence[StoredKey]:
        """The account's keys, newest first."""
        return await self._store.keys(account_id)

    async def revoke_key(self, account_id: str, key_id: str) -> StoredKey:
        """The key, revoked.

        Raises:
            DomainError: KEY_NOT_FOUND.
        """
        revoked = await self._store.revoke_key(account_id, key_id, self._clock.now())
        if revoked is None:
            raise DomainError(Reason.KEY_NOT_FOUND)
        return revoked

    async def usage(self, account_id: str, days: int) -> Sequence[Usage]:
        """Usage of the last days, today included."""
        back = min(days or _DEFAULT_DAYS, _MOST_DAYS)
        return await self._store.usage(account_id, self._clock.now().date() - timedelta(days=back - 1))

    async def calls(self, asking: Call, wanted: CallFilter, page_size: int, page_token: str) -> CallPage:
        """A page of the account's own calls."""
        return await self._call_log.calls(asking, wanted, page_size, page_token)

    def export_calls(self, asking: Call, wanted: CallFilter) -> AsyncGenerator[bytes, None]:
        """The account's own calls, whole lines at a time."""
        return self._call_log.export(asking, wanted)


@dataclass(frozen=True)
class NewKey:
    """A key just made, which is shown this once."""

    account_id: str
    key_id: str
    key: str


class Registration:
    """Makes accounts, and keys of any account. An operator's task: there is no public method for it."""

    def __init__(self, store: Store, pepper: Pepper, clock: Clock) -> None:
        self._store = store
        self._pepper = pepper
        self._clock = clock

    async def create(
        self, company: str, contact: Contact, scopes: Sequence[str], billing: Billing | None = None
    ) -> NewAccount:
        """Makes an account with one contact and one key.

        Raises:
            DomainError: FIELD_INVALID, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        _require_addresses([contact])
        account_id, now = f"acc_{ULID()}".lower(), self._clock.now()
        person = Contact(contact_id(account_id, 1), contact.email, contact.name)
        key = keys.make()
        stored = _stored(self._pepper, key, account_id, "first key", scopes, now)
        account = Account(account_id, company, now, (person,), billing)
        await self._store.create_account(account, stored, [MINUTE])
        return NewAccount(account_id, person.contact_id, key.key_id, key.text)

    async def create_key(self, account_id: str, label: str, scopes: Sequence[str], days: int | None = None) -> NewKey:
        """Makes a key of an account that has none left, or none that may make keys. It ends after `days`, or never.

        Raises:
            DomainError: ACCOUNT_NOT_FOUND, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        _found(await self._store.account(account_id))
        key, now = keys.make(), self._clock.now()
        made = _stored(self._pepper, key, account_id, label, scopes, now)
        expire = None if days is None else now + timedelta(days=days)
        await self._store.add_key(replace(made, expire_time=expire))
        return NewKey(account_id, key.key_id, key.text)

    async def revoke_key(self, key_id: str) -> StoredKey:
        """Any account's key, revoked.

        Raises:
            DomainError: KEY_NOT_FOUND.
        """
        known = await self._store.find_key(key_id)
        revoked = known and await self._store.revoke_key(known.account_id, key_id, self._clock.now())
        if revoked is None:
            raise DomainError(Reason.KEY_NOT_FOUND)
        return revoked


def _stored(
    pepper: Pepper, key: ApiKey, account_id: str, label: str, scopes: Iterable[str], now: datetime
) -> StoredKey:
    unique = tuple(dict.fromkeys(scopes))
    return StoredKey(key.key_id, account_id, pepper.digest(key), label, unique, now)


def _found(account: Account | None) -> Account:
    if account is None:
        raise DomainError(Reason.ACCOUNT_NOT_FOUND)
    return account


def _require_addresses(contacts: Sequence[Contact]) -> None:
    """A new contact needs a mail address; one that is given must be one."""
    for position, contact in enumerate(contacts):
        wanted = contact.email or not contact.contact_id
        if wanted and mail_address(contact.email) is None:
            raise _invalid(f"contacts[{position}].email", "must be a mail address")


def _invalid(field: str, description: str) -> DomainError:
    return DomainError(Reason.FIELD_INVALID, violations=[Violation(field, description)])
