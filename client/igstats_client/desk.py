"""An officer's desk: asks a service with the officer's certificate, and prints answers as tables or as JSON."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from rich.console import Console

from igstats_client import saving, views
from igstats_client.officer import OfficerConnection
from igstats_client.screen import Screen
from igstats_client.settings import Office

_PAGE = 200

Show = Callable[[Any, Console], None]
"""Prints an answer for people."""


class Desk:
    """Where an officer sits; `as_json` is for programs."""

    def __init__(self, office: Office, *, as_json: bool, service: str = "privacy") -> None:
        self._office = office
        self._as_json = as_json
        self._service = service

    def ask(self, method: str, request: Message) -> Any:  # noqa: ANN401 - the method's response
        """The answer of a method, Service/Method.

        Raises:
            ApiError: What igstats answered.
        """
        with OfficerConnection(self._office, self._service) as service:
            return service.call(method, request)

    def save(self, method: str, request: Message, file: Path) -> None:
        """Writes the file that a method streams in chunks, and says so.

        Raises:
            ApiError: What igstats answered; then there is no file.
        """
        with OfficerConnection(self._office, self._service) as service:
            size = saving.save((answer.chunk for answer in service.stream(method, request)), file)
        Screen().print(f"{size} bytes in {file}", markup=False)

    def each(self, method: str, request: Any, field: str, limit: int) -> Iterator[Any]:  # noqa: ANN401 - any paged request
        """At most `limit` things of a paged method, from as many pages as that takes.

        Raises:
            ApiError: What igstats answered.
        """
        with OfficerConnection(self._office, self._service) as service:
            while limit > 0:
                request.page_size = min(limit, _PAGE)
                page = service.call(method, request)
                found = list(getattr(page, field))[:limit]
                yield from found
                limit -= len(found)
                if not page.next_page_token:
                    return
                request.page_token = page.next_page_token

    def show(self, answer: Message, show: Show) -> None:
        """Prints one answer."""
        if self._as_json:
            sys.stdout.write(views.as_json(answer) + "\n")
        else:
            show(answer, Screen())

    def show_all(self, answers: list[Any], show: Show) -> None:
        """Prints a list: a table, or as JSON one object a line."""
        if self._as_json:
            sys.stdout.writelines(views.as_json(one, indent=None) + "\n" for one in answers)
        else:
            show(answers, Screen())
