"""Faults on command: what Instagram does on bad days."""

import asyncio
from dataclasses import dataclass, fields
from typing import Any

KINDS = frozenset(
    {
        *(
            "throttle",
            "usage",
            "dead_token",
            "unsupported_metric",
            "lag",
            "hold",
            "transient",
            "server_error",
            "shrink",
        ),
        *("bad_code", "wrapped"),
    }
)


@dataclass
class Fault:
    """One fault. `username` and `path` narrow it (empty: all); `times` ends it after so many calls (0: never)."""

    kind: str
    username: str = ""
    path: str = ""
    times: int = 0
    metric: str = ""
    milliseconds: int = 0
    regain_minutes: int = 19
    percent: int = 100
    code: int = 80002
    subcode: int = 463

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(sorted(KINDS))}")

    def describe(self) -> dict[str, Any]:
        """The settings that are not empty, as JSON."""
        settings = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in settings.items() if value not in ("", 0)}


class Faults:
    """The faults in force, and the calls that a `hold` keeps waiting until `clear`."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.held = 0
        self.holding = asyncio.Event()
        self._released = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Puts a fault in force."""
        self.active.append(fault)

    def clear(self) -> None:
        """Ends all faults and lets held calls go on."""
        self.active.clear()
        self._released.set()
        self._released = asyncio.Event()

    def take(self, username: str, path: str) -> list[Fault]:
        """Faults that hit this call; counts them."""
        hits = [fault for fault in self.active if fault.username in ("", username) and fault.path in path]
        for fault in hits:
            if fault.times:
                fault.times -= 1
                if not fault.times:
                    self.active.remove(fault)
        return hits

    async def hold(self) -> None:
        """Waits until `clear`."""
        self.held += 1
        self.holding.set()
        await self._released.wait()
        self.held -= 1
        if not self.held:
            self.holding.clear()
