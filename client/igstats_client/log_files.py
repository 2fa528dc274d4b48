"""Files of a log over HTTP, as everybody may read them: without an API key."""

import re
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

from igstats_client.errors import ApiError
from igstats_client.tiles import WIDTH

_SECONDS = 30.0
_NOTE_BYTES = 1 << 20
_TILE_BYTES = WIDTH * 32
_BUNDLE_BYTES = WIDTH * (2 + 0xFFFF)
"""256 leaves, each behind its length of 16 bits (C2SP tlog-tiles, "Log entries")."""
_PATIENCE = 300
"""Seconds that answers may make us wait for one file: an address has an allowance of files for a minute."""
_PAUSE = re.compile("[0-9]{1,4}")


class _NoRedirects(HTTPRedirectHandler):
    """A log is read where its name says, and encrypted: nobody sends the reader elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Leaves the answer as it is, an error."""


class LogFiles:
    """Reads files of the log `evidence` or `access` below the address of a gateway, https://..."""

    def __init__(self, url: str, authority: Path | None, log: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._prefix = f"{url}/log/{log}"
        trusted = HTTPSHandler(context=ssl.create_default_context(cafile=authority))
        self._open = build_opener(trusted, _NoRedirects()).open
        self._sleep = sleep

    def read(self, path: str) -> bytes | None:
        """A file; None when the log has none of that name. Waits when it is asked to.

        Raises:
            ApiError: What the gateway answered instead; also more bytes than a file of that name can have.
            OSError: It cannot be reached, or breaks off.
        """
        left = _PATIENCE
        while True:
            try:
                with self._open(f"{self._prefix}/{path}", timeout=_SECONDS) as answer:
                    return self._content(answer, path)
            except HTTPError as error:
                if error.code == HTTPStatus.NOT_FOUND:
                    return None
                left -= self._wait(error, left)
            except URLError as error:
                raise OSError(f"{self._prefix} cannot be read: {error.reason}") from error
            except HTTPException as error:
                raise OSError(f"{self._prefix} does not speak HTTP: {type(error).__name__}") from error

    def _content(self, answer: HTTPResponse, path: str) -> bytes:
        most = _most_bytes(path)
        content = answer.read(most + 1)
        if len(content) > most:
            raise ApiError("TOO_LARGE", f"{self._prefix}/{path} has more than {most} bytes")
        if answer.length:
            raise OSError(f"{self._prefix}/{path} breaks off")
        return content

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

    def _wait(self, error: HTTPError, most: int) -> int:
        """Waits as long as the answer asks for, a second at least, and answers how long that was."""
        asked = error.headers.get("Retry-After", "")
        pause = max(1, int(asked)) if _PAUSE.fullmatch(asked) else most + 1
        if error.code != HTTPStatus.TOO_MANY_REQUESTS or pause > most:
            raise ApiError(f"HTTP {error.code}", f"{error.url} was not answered with a file") from error
        self._sleep(pause)
        return pause


def _most_bytes(path: str) -> int:
    if path.startswith("tile/entries/"):
        return _BUNDLE_BYTES
    return _TILE_BYTES if path.startswith("tile/") else _NOTE_BYTES
