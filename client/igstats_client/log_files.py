"""Files of a log over HTTP, as everybody may read them: without an API key."""

import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from igstats_client.errors import ApiError

_SECONDS = 30.0
_PATIENCE = 120
"""Seconds that an answer may ask us to wait: an address has an allowance of files for a minute."""


class LogFiles:
    """Reads files of the log `evidence` or `access` below the address of a gateway, https://..."""

    def __init__(self, url: str, authority: Path | None, log: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._prefix = f"{url}/log/{log}"
        self._trusted = ssl.create_default_context(cafile=authority)
        self._sleep = sleep

    def read(self, path: str) -> bytes | None:
        """A file; None when the log has none of that name. Waits when it is asked to.

        Raises:
            ApiError: What the gateway answered instead.
            OSError: It cannot be reached.
        """
        while True:
            try:
                with urlopen(f"{self._prefix}/{path}", timeout=_SECONDS, context=self._trusted) as answer:  # noqa: S310 - https, see settings
                    content: bytes = answer.read()
                    return content
            except HTTPError as error:
                if error.code == HTTPStatus.NOT_FOUND:
                    return None
                self._wait(error)
            except URLError as error:
                raise OSError(f"{self._prefix} cannot be read: {error.reason}") from error

    def text(self, path: str) -> str:
        """A file that every log has.

        Raises:
            ApiError: There is none, or what the gateway answered instead.
            UnicodeDecodeError: It is no text.
        """
        content = self.read(path)
        if content is None:
            raise ApiError("NOT_FOUND", f"{self._prefix} has no file {path}")
        return content.decode("utf-8")

    def _wait(self, error: HTTPError) -> None:
        pause = error.headers.get("Retry-After", "")
        if error.code != HTTPStatus.TOO_MANY_REQUESTS or not pause.isdecimal() or int(pause) > _PATIENCE:
            raise ApiError(f"HTTP {error.code}", f"{error.url} was not answered with a file") from error
        self._sleep(int(pause))
