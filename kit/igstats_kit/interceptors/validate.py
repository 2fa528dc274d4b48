"""Whether a request keeps the rules that its proto states."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate import Violation as BrokenRule

from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.interceptors.chain import Call, Interceptor
from igstats_kit.interceptors.observe import ObserveInterceptor


def _path(broken: BrokenRule) -> str:
    """The field as people write it: identifiers[2].value."""
    path = ""
    for element in broken.proto.field.elements if broken.proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return path


class ValidateInterceptor(Interceptor):
    """Refuses requests that break a protovalidate rule, each message of a stream when it is read."""

    after = (ObserveInterceptor,)

    def __init__(self) -> None:
        self._validator = Validator()

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Checks the request, or puts the check into the stream of requests."""
        if call.request_streaming:
            call.request = self._checked(call.request)
        else:
            self.check(call.request)
        yield

    async def _checked(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self.check(request)
            yield request

    def check(self, request: object) -> None:
        """Checks one message.

        Raises:
            DomainError: FIELD_INVALID, with all violations.
        """
        if isinstance(request, Message) and (broken := self._validator.collect_violations(request)):
            violations = [Violation(_path(rule), rule.proto.message) for rule in broken]
            raise DomainError(Reason.FIELD_INVALID, violations=violations)
