"""AccountService: proto in, proto out. The door has let the call in."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1 import account_service_pb2 as pb
from igstats_kit.errors import DomainError, Reason, Violation

from igstats_gateway.accounts import Accounts
from igstats_gateway.model import (
    Account,
    AccountChange,
    Billing,
    Call,
    CallFilter,
    Contact,
    LoggedCall,
    StoredKey,
    Usage,
)


class AccountServicer:
    """The gateway's own public service."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def get_account(self, _request: pb.GetAccountRequest, call: Call) -> pb.GetAccountResponse:
        """Reads the account."""
        return pb.GetAccountResponse(account=_account(await self._accounts.get(call.account_id)))

    async def update_account(self, request: pb.UpdateAccountRequest, call: Call) -> pb.UpdateAccountResponse:
        """Changes the account."""
        contacts = [Contact(one.contact_id, one.email, one.name) for one in request.contacts]
        given = request.billing
        billing = Billing(given.name, given.address, given.vat_number) if request.HasField("billing") else None
        change = AccountChange(request.company, contacts, billing)
        return pb.UpdateAccountResponse(account=_account(await self._accounts.update(call.account_id, change)))

    async def create_key(self, request: pb.CreateKeyRequest, call: Call) -> pb.CreateKeyResponse:
        """Makes a key."""
        expire = request.expire_time.ToDatetime(UTC) if request.HasField("expire_time") else None
        stored, secret = await self._accounts.create_key(call.admitted, request.label, request.scopes, expire)
        return pb.CreateKeyResponse(key=_key(stored), secret=secret)

    async def list_keys(self, _request: pb.ListKeysRequest, call: Call) -> pb.ListKeysResponse:
        """Lists the keys."""
        return pb.ListKeysResponse(keys=map(_key, await self._accounts.keys(call.account_id)))

    async def revoke_key(self, request: pb.RevokeKeyRequest, call: Call) -> pb.RevokeKeyResponse:
        """Revokes a key."""
        return pb.RevokeKeyResponse(key=_key(await self._accounts.revoke_key(call.account_id, request.key_id)))

    async def list_usage(self, request: pb.ListUsageRequest, call: Call) -> pb.ListUsageResponse:
        """Lists usage by day."""
        return pb.ListUsageResponse(usage=map(_usage, await self._accounts.usage(call.account_id, request.days)))

    async def list_calls(self, request: pb.ListCallsRequest, call: Call) -> pb.ListCallsResponse:
        """Lists calls of the API log."""
        page = await self._accounts.calls(
            call, _filter(request, request.call_id), request.page_size, request.page_token
        )
        return pb.ListCallsResponse(calls=map(_call, page.calls), next_page_token=page.next_page_token)

    async def export_calls(
        self, request: pb.ExportCallsRequest, call: Call
    ) -> AsyncGenerator[pb.ExportCallsResponse, None]:
        """Streams calls of the API log."""
        async with aclosing(self._accounts.export_calls(call, _filter(request))) as pieces:
            async for lines in pieces:
                yield pb.ExportCallsResponse(lines=lines)

    def methods(self) -> Mapping[str, Callable[[Any, Call], Any]]:
        """The methods by full name."""
        service = pb.DESCRIPTOR.services_by_name["AccountService"]
        known: dict[str, Callable[[Any, Call], Any]] = {
            "GetAccount": self.get_account,
            "UpdateAccount": self.update_account,
            "CreateKey": self.create_key,
            "ListKeys": self.list_keys,
            "RevokeKey": self.revoke_key,
            "ListUsage": self.list_usage,
            "ListCalls": self.list_calls,
            "ExportCalls": self.export_calls,
        }
        return {f"/{service.full_name}/{name}": method for name, method in known.items()}


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def _filter(request: pb.ListCallsRequest | pb.ExportCallsRequest, call_id: str = "") -> CallFilter:
    return CallFilter(
        call_id=call_id,
        start_time=_moment(request.start_time, "start_time") if request.HasField("start_time") else None,
        end_time=_moment(request.end_time, "end_time") if request.HasField("end_time") else None,
        status=request.status if request.HasField("status") else None,
    )


def _moment(stamp: Timestamp, field: str) -> datetime:
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise DomainError(Reason.FIELD_INVALID, violations=[Violation(field, "is out of range")]) from error


def _account(account: Account) -> pb.Account:
    billing = account.billing
    return pb.Account(
        account_id=account.account_id,
        company=account.company,
        contacts=[pb.Contact(contact_id=one.contact_id, email=one.email, name=one.name) for one in account.contacts],
        billing=pb.Billing(name=billing.name, address=billing.address, vat_number=billing.vat_number)
        if billing
        else None,
        created_time=_time(account.created_time),
        withheld_contact_count=account.withheld,
    )


def _key(key: StoredKey) -> pb.Key:
    return pb.Key(
        key_id=key.key_id,
        label=key.label,
        scopes=key.scopes,
        created_time=_time(key.created_time),
        expire_time=_time(key.expire_time),
        revoked_time=_time(key.revoked_time),
        last_used_day=key.last_used_day.isoformat() if key.last_used_day else "",
    )


def _usage(usage: Usage) -> pb.Usage:
    return pb.Usage(day=usage.day.isoformat(), method=usage.method, calls=usage.calls, errors=usage.errors)


def _call(call: LoggedCall) -> pb.ApiCall:
    return pb.ApiCall(
        call_id=call.call_id,
        key_id=call.key_id,
        method=call.method,
        protocol=call.protocol,
        status=call.status,
        reason=call.reason,
        called_time=_time(call.called_time),
        latency_us=call.latency_us,
        ip_address=call.ip_address,
        user_agent=call.user_agent,
    )
