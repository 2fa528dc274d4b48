"""Callbacks on their way out: one POST by https to an address of a configured partner, no redirect followed."""

import ssl

import aiohttp
from igstats_kit.log import get_logger

from igstats_gateway.doors.dealing import Callback, News

_SECONDS = aiohttp.ClientTimeout(total=10)
_OK = range(200, 300)
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})

_log = get_logger()


class Outgoing:
    """Sends news. Whoever calls has checked the address; what the other side answers is not read."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=_SECONDS, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def send(self, callback: Callback, news: News) -> bool:
        """Whether the partner has taken the news."""
        theirs = {name: value for name, value in callback.headers.items() if name.lower() not in _OURS}
        headers = {**theirs, "content-type": "application/json", "accept": "application/json", **news.headers}
        try:
            async with self._session.post(
                callback.url, data=news.body, headers=headers, allow_redirects=False
            ) as response:
                return response.status in _OK
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.warning("callback failed", error=type(error).__name__)
            return False

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()
