"""Faults on command for emulators that speak about places: a recipient, a path. Under /_faults of their HTTP side."""

import asyncio
from collections.abc import Collection
from dataclasses import asdict, dataclass

from aiohttp import web


@dataclass
class Fault:
    """One fault. `where` narrows it to places that contain it; `times` ends it after so many (0: never)."""

    kind: str
    where: str = ""
    times: int = 0
    milliseconds: int = 0


class Faults:
    """The faults in force, of the kinds that an emulator knows."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = frozenset(kinds)
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Puts a fault in force.

        Raises:
            ValueError: No such kind.
        """
        if fault.kind not in self._kinds:
            raise ValueError(f"unknown fault {fault.kind!r}; known: {', '.join(sorted(self._kinds))}")
        self.active.append(fault)

    def clear(self) -> None:
        """Ends all faults."""
        self.active.clear()

    async def take(self, where: str) -> frozenset[str]:
        """Kinds of the faults that hit this place; counts them, and waits as long as they say."""
        hits = [fault for fault in self.active if fault.where in where]
        for fault in hits:
            if fault.times:
                fault.times -= 1
                if not fault.times:
                    self.active.remove(fault)
        await asyncio.sleep(sum(fault.milliseconds for fault in hits) / 1000)
        return frozenset(fault.kind for fault in hits)

    def routes(self) -> list[web.RouteDef]:
        """The control room."""
        return [
            web.get("/_faults", self._list),
            web.post("/_faults", self._add),
            web.delete("/_faults", self._clear),
        ]

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": [asdict(fault) for fault in self.active]})

    async def _add(self, request: web.Request) -> web.Response:
        try:
            fault = Fault(**await request.json())
            self.add(fault)
        except (TypeError, ValueError) as error:
            return web.json_response({"problem": str(error)}, status=400)
        return web.json_response(asdict(fault), status=201)

    async def _clear(self, request: web.Request) -> web.Response:
        self.clear()
        return await self._list(request)
