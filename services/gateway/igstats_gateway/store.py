"""The gateway's SQL.

Writers of an account's data take its fence in their transaction: an erased account gets no new rows, come what may.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from igstats_kit.errors import DomainError, Reason
from igstats_kit.fence import admit, admitted, lock
from igstats_kit.outbox import enqueue
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions
from igstats_kit.tokens import Tokens, email_sha256
from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_gateway import refusal_store
from igstats_gateway.events import ACCESS_SUBJECT, SERVICE, access_recorded
from igstats_gateway.model import (
    Account,
    AccountChange,
    Billing,
    CallRecord,
    Contact,
    Policy,
    Slot,
    Spending,
    StoredAnswer,
    StoredKey,
    Usage,
)
from igstats_gateway.tables import (
    accounts,
    api_keys,
    billing_details,
    contacts,
    idempotency_records,
    limits,
    usage_days,
)

# One statement decides and moves. A crash may forget the last moments, so the commit need not wait for the disk.
_SPEND = text(
    "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),"
    " moved AS (UPDATE limits SET full_at = greatest(full_at, :now) + :price"
    " WHERE account_id = :account_id AND policy = :policy AND greatest(full_at, :now) + :price <= :latest"
    " RETURNING full_at)"
    " SELECT true AS granted, full_at FROM moved, quick UNION ALL"
    " SELECT false, full_at FROM limits, quick"
    " WHERE account_id = :account_id AND policy = :policy AND NOT EXISTS (SELECT FROM moved)"
)
# The event's own row is no proof of a first attempt: it goes when the event is published.
_TAKE_BATCH = text(
    "WITH settled AS (DELETE FROM inbox WHERE consumer = 'gateway-metering' AND event_id = :settled)"
    " INSERT INTO inbox (consumer, event_id) VALUES ('gateway-metering', :batch) ON CONFLICT DO NOTHING"
)
# In key order, so that two replicas never wait for each other in a circle.
_MARK_USED = text(
    "WITH used AS (SELECT key_id, array_remove(array_agg(DISTINCT scope), '') AS scopes"
    " FROM unnest(CAST(:key_ids AS text[]), CAST(:scopes AS text[])) AS one(key_id, scope) GROUP BY key_id),"
    " held AS (SELECT k.key_id FROM api_keys k JOIN used u ON u.key_id = k.key_id WHERE k.last_used_day IS DISTINCT"
    " FROM :day OR NOT k.used_scopes @> u.scopes ORDER BY k.key_id FOR UPDATE OF k)"
    " UPDATE api_keys k SET last_used_day = :day,"
    " used_scopes = ARRAY(SELECT DISTINCT scope FROM unnest(k.used_scopes || u.scopes) AS scope ORDER BY scope)"
    " FROM used u JOIN held h ON h.key_id = u.key_id WHERE k.key_id = u.key_id"
)


_RESTRICTED = (
    select(restrictions.c.token)
    .where(restrictions.c.token.in_([contacts.c.id_token, contacts.c.email_token, contacts.c.hash_token]))
    .correlate(contacts)
    .exists()
)


class Store:
    """Reads and writes accounts, keys, limits, usage and idempotency records."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    # Keys

    async def find_key(self, key_id: str) -> StoredKey | None:
        """The key of any account, dead or alive."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(api_keys).where(api_keys.c.key_id == key_id))).one_or_none()
        return _key(row) if row else None

    async def keys(self, account_id: str) -> list[StoredKey]:
        """The account's keys, newest first."""
        wanted = select(api_keys).where(api_keys.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(api_keys.c.created_at.desc(), api_keys.c.key_id))
            return [_key(row) for row in rows]

    async def add_key(self, key: StoredKey) -> None:
        """Stores a key of an account.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
        """
        async with self._database.transaction() as connection:
            await admit(connection, [self._account_token(key.account_id)])
            await _insert_key(connection, key)

    async def revoke_key(self, account_id: str, key_id: str, now: datetime) -> StoredKey | None:
        """Revokes a key of the account; the first time counts. None when it has no such key."""
        mine = (api_keys.c.account_id == account_id, api_keys.c.key_id == key_id)
        revoked = update(api_keys).where(*mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
        async with self._database.transaction() as connection:
            if (await connection.execute(revoked)).rowcount:
                await record(connection, SERVICE, "key.revoked", {"key_id": key_id}, now=now)
            row = (await connection.execute(select(api_keys).where(*mine))).one_or_none()
        return _key(row) if row else None

    # Limits

    async def spend(self, account_id: str, policy: Policy, cost: int, now: datetime) -> Spending | None:
        """Moves the account's clock of the policy when the cost fits. None when there is no such account."""
        price = timedelta(seconds=cost * policy.seconds_per_unit)
        binds = {"account_id": account_id, "policy": policy.name, "now": now, "price": price}
        latest = now + timedelta(seconds=policy.window)
        async with self._database.transaction() as connection:
            row = (await connection.execute(_SPEND, {**binds, "latest": latest})).one_or_none()
        if row is None:
            return None
        return Spending(policy, row.granted, cost, max(0.0, (row.full_at - now).total_seconds()))

    # Accounts

    async def account(self, account_id: str) -> Account | None:
        """The account with contacts and billing details."""
        async with self._database.read() as connection:
            return await _read_account(connection, account_id)

    async def create_account(self, account: Account, key: StoredKey, policies: Sequence[str]) -> None:
        """Stores an account with its contacts, its first key and its limits.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED for a contact.
        """
        token, now = self._account_token(account.account_id), account.created_time
        row = {"account_id": account.account_id, "subject_token": token, "company": account.company, "created_at": now}
        async with self._database.transaction() as connection:
            await admit(connection, [token, *self._contact_tokens(account.contacts)])
            await connection.execute(insert(accounts), {**row, "contacts_made": len(account.contacts)})
            for contact in account.contacts:
                await self._insert_contact(connection, account.account_id, contact, now)
            if account.billing is not None:
                await _change_billing(connection, account.account_id, account.billing)
            await _insert_limits(connection, account.account_id, policies, now)
            await _insert_key(connection, key)

    async def change_account(self, account_id: str, change: AccountChange, now: datetime) -> Account | None:
        """Applies a change whose new contacts have no id; numbers those. None when there is no such account.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED for the account; FIELD_INVALID for contacts whose persons
                are, RATE_LIMITED after too many of those.
            LookupError: The account has no contact with a given id; the argument is its position.
        """
        own, given = self._account_token(account_id), self._contact_tokens(change.contacts)
        async with self._database.transaction() as connection:
            if await refusal_store.welcome(connection, account_id, own, given, now):
                return await self._change(connection, account_id, change, now)
        raise refusal_store.refused()

    async def _change(
        self, connection: AsyncConnection, account_id: str, change: AccountChange, now: datetime
    ) -> Account | None:
        made = await _change_head(connection, account_id, change)
        if made is None:
            return None
        await self._change_contacts(connection, account_id, change.contacts, made, now)
        if change.billing is not None:
            await _change_billing(connection, account_id, change.billing)
        return await _read_account(connection, account_id)

    async def _change_contacts(
        self, connection: AsyncConnection, account_id: str, changes: Sequence[Contact], made: int, now: datetime
    ) -> None:
        number = made - sum(not contact.contact_id for contact in changes)
        for position, contact in enumerate(changes):
            if contact.contact_id:
                await self._update_contact(connection, account_id, contact, position)
            else:
                number += 1
                named = replace(contact, contact_id=contact_id(account_id, number))
                await self._insert_contact(connection, account_id, named, now)

    async def _update_contact(
        self, connection: AsyncConnection, account_id: str, contact: Contact, position: int
    ) -> None:
        mine = (contacts.c.account_id == account_id, contacts.c.contact_id == contact.contact_id)
        values: dict[str, Any] = {"name": contact.name} if contact.name else {"name": contacts.c.name}
        if contact.email:
            values |= {"email": contact.email, **self._mail_tokens(contact.email)}
        if not (await connection.execute(update(contacts).where(*mine).values(values))).rowcount:
            raise LookupError(position)

    async def _insert_contact(
        self, connection: AsyncConnection, account_id: str, contact: Contact, now: datetime
    ) -> None:
        row = {
            "contact_id": contact.contact_id,
            "account_id": account_id,
            "id_token": self._tokens.of("CONTACT_ID", contact.contact_id),
            **self._mail_tokens(contact.email),
            "email": contact.email,
            "name": contact.name,
            "created_at": now,
        }
        await connection.execute(insert(contacts), row)

    def _account_token(self, account_id: str) -> bytes:
        return self._tokens.of("ACCOUNT_ID", account_id)

    def _contact_tokens(self, given: Sequence[Contact]) -> list[bytes]:
        ids = [self._tokens.of("CONTACT_ID", contact.contact_id) for contact in given if contact.contact_id]
        return ids + [
            token for contact in given if contact.email for token in self._mail_tokens(contact.email).values()
        ]

    def _mail_tokens(self, email: str) -> dict[str, bytes]:
        """How an address is found: by itself, and by its hash, which is all that some doors hand in."""
        hashed = self._tokens.of("EMAIL_SHA256", email_sha256(email))
        return {"email_token": self._tokens.of("EMAIL", email), "hash_token": hashed}

    # Usage

    async def usage(self, account_id: str, since: date) -> list[Usage]:
        """Usage of the account by day, newest first, then method."""
        wanted = select(usage_days).where(usage_days.c.account_id == account_id, usage_days.c.day >= since)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(usage_days.c.day.desc(), usage_days.c.method))
            return [Usage(row.day, row.method, row.calls, row.errors) for row in rows]

    async def write_records(self, batch_id: str, records: Sequence[CallRecord], *, settled: str = "") -> int:
        """Counts usage and sends the records; those of fenced or gone accounts lose their person. Answers how many.

        A batch that was written before changes nothing. Nobody writes the batch `settled` again: it is forgotten.
        """
        async with self._database.transaction() as connection:
            if not (await connection.execute(_TAKE_BATCH, {"batch": batch_id, "settled": settled})).rowcount:
                return 0
            known = await self._admitted(connection, {call.account_id for call in records} - {""})
            kept = [_impersonal(call) if call.account_id not in known else call for call in records]
            await _count_usage(connection, kept)
            await enqueue(connection, ACCESS_SUBJECT, access_recorded(kept), event_id=batch_id)
        return sum(bool(call.account_id) and call.account_id not in known for call in records)

    async def _admitted(self, connection: AsyncConnection, account_ids: set[str]) -> set[str]:
        tokens = {self._account_token(account_id): account_id for account_id in account_ids}
        free = [tokens[token] for token in await admitted(connection, list(tokens))]
        return set(await connection.scalars(select(accounts.c.account_id).where(accounts.c.account_id.in_(free))))

    # Idempotency

    async def claim(self, slot: Slot, request_digest: bytes, now: datetime, *, alive_since: datetime) -> bool:
        """Takes the slot for a call about to run. False when it is taken: by an answer, or by a call still alive.

        Raises:
            DomainError: API_KEY_UNKNOWN: the account has been erased meanwhile.
        """
        row = {**_slot(slot), "request_digest": request_digest, "created_at": now}
        fresh = upsert(idempotency_records).values(row)
        old = idempotency_records.c
        expired = (old.created_at < slot.valid_since) | (old.status.is_(None) & (old.created_at < alive_since))
        renewed = {"request_digest": request_digest, "created_at": now, "status": None, "sealed_body": None}
        taken = fresh.on_conflict_do_update(index_elements=list(_slot(slot)), set_=renewed, where=expired)
        async with self._database.transaction() as connection:
            await lock(connection, [self._account_token(slot.account_id)], exclusive=False)
            if not await connection.scalar(select(accounts.c.account_id).filter_by(account_id=slot.account_id)):
                raise DomainError(Reason.API_KEY_UNKNOWN)
            return bool(await connection.scalar(taken.returning(old.account_id)))

    async def answer(self, slot: Slot) -> StoredAnswer | None:
        """What holds the slot."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(idempotency_records).filter_by(**_slot(slot)))).one_or_none()
        return StoredAnswer(row.request_digest, row.status, row.sealed_body or b"") if row else None

    async def keep_answer(self, slot: Slot, status: int, sealed_body: bytes) -> None:
        """Stores the answer of the call that holds the slot."""
        kept = update(idempotency_records).filter_by(**_slot(slot)).values(status=status, sealed_body=sealed_body)
        async with self._database.transaction() as connection:
            await connection.execute(kept)

    async def release(self, slot: Slot) -> None:
        """Gives the slot back: the call may be repeated."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(idempotency_records).filter_by(**_slot(slot)))


def contact_id(account_id: str, number: int) -> str:
    """Id of an account's n-th contact: con_<the account's ulid>_<n>."""
    return f"con_{account_id.removeprefix('acc_')}_{number}"


def _key(row: Row[Any]) -> StoredKey:
    return StoredKey(
        key_id=row.key_id,
        account_id=row.account_id,
        key_hash=row.key_hash,
        label=row.label,
        scopes=tuple(row.scopes),
        created_time=row.created_at,
        expire_time=row.expire_at,
        revoked_time=row.revoked_at,
        last_used_day=row.last_used_day,
    )


async def _insert_key(connection: AsyncConnection, key: StoredKey) -> None:
    row = {
        "key_id": key.key_id,
        "account_id": key.account_id,
        "key_hash": key.key_hash,
        "label": key.label,
        "scopes": list(key.scopes),
        "created_at": key.created_time,
        "expire_at": key.expire_time,
    }
    await connection.execute(insert(api_keys), row)
    await record(connection, SERVICE, "key.created", {"key_id": key.key_id}, now=key.created_time)


async def _insert_limits(connection: AsyncConnection, account_id: str, policies: Sequence[str], now: datetime) -> None:
    rows = [{"account_id": account_id, "policy": policy, "full_at": now} for policy in policies]
    await connection.execute(insert(limits), rows)


async def _read_account(connection: AsyncConnection, account_id: str) -> Account | None:
    head = (await connection.execute(select(accounts).filter_by(account_id=account_id))).one_or_none()
    if head is None:
        return None
    wanted = select(contacts, _RESTRICTED.label("restricted")).filter_by(account_id=account_id)
    rows = (await connection.execute(wanted.order_by(contacts.c.created_at, contacts.c.contact_id))).all()
    people = [Contact(row.contact_id, row.email, row.name) for row in rows if not row.restricted]
    paid = (await connection.execute(select(billing_details).filter_by(account_id=account_id))).one_or_none()
    billing = Billing(paid.name, paid.address, paid.vat_number) if paid else None
    return Account(account_id, head.company, head.created_at, tuple(people), billing, len(rows) - len(people))


async def _change_head(connection: AsyncConnection, account_id: str, change: AccountChange) -> int | None:
    """Locks the account, changes its company, reserves numbers for new contacts; answers the last number."""
    new = sum(not contact.contact_id for contact in change.contacts)
    values: dict[str, Any] = {"contacts_made": accounts.c.contacts_made + new}
    if change.company:
        values["company"] = change.company
    changed = update(accounts).filter_by(account_id=account_id).values(values).returning(accounts.c.contacts_made)
    made: int | None = await connection.scalar(changed)
    return made


async def _change_billing(connection: AsyncConnection, account_id: str, billing: Billing) -> None:
    """Sets the fields that are not empty."""
    given = {"name": billing.name, "address": billing.address, "vat_number": billing.vat_number}
    changed = {name: value for name, value in given.items() if value}
    fresh = upsert(billing_details).values(account_id=account_id, **given)
    if changed:
        await connection.execute(fresh.on_conflict_do_update(index_elements=["account_id"], set_=changed))
    else:
        await connection.execute(fresh.on_conflict_do_nothing())


def _impersonal(call: CallRecord) -> CallRecord:
    return replace(call, account_id="", key_id="", sealed_client=b"") if call.account_id else call


async def _count_usage(connection: AsyncConnection, records: Sequence[CallRecord]) -> None:
    owned = [call for call in records if call.account_id]
    if not owned:
        return
    calls = Counter((call.account_id, call.called_time.date(), call.method) for call in owned)
    errors = Counter((call.account_id, call.called_time.date(), call.method) for call in owned if call.status)
    rows = [
        {"account_id": account_id, "day": day, "method": method, "calls": count, "errors": errors[key]}
        for key, count in sorted(calls.items())
        for account_id, day, method in [key]
    ]
    added = upsert(usage_days).values(rows)
    sums = {name: usage_days.c[name] + added.excluded[name] for name in ("calls", "errors")}
    await connection.execute(added.on_conflict_do_update(index_elements=["account_id", "day", "method"], set_=sums))
    used = sorted({(call.key_id, call.scope) for call in owned})
    columns = {"key_ids": [key_id for key_id, _ in used], "scopes": [scope for _, scope in used]}
    await connection.execute(_MARK_USED, {"day": max(call.called_time.date() for call in owned), **columns})


def _slot(slot: Slot) -> Mapping[str, str | bytes]:
    return {"account_id": slot.account_id, "method": slot.method, "key_digest": slot.key_digest}
