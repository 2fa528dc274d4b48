"""What goes wrong between this client and igstats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from igstats_client.printing import printable


class SettingsError(Exception):
    """Where to connect, or with which key, is not known."""


@dataclass(eq=False)
class ApiError(Exception):
    """The answer of igstats to a call that failed."""

    code: str
    text: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[tuple[str, str]] = ()
    retry_after: float | None = None
    call_id: str = ""

    def __str__(self) -> str:
        """All of it, as a person reads it; what others wrote begins no line of its own."""
        named = [f"{name}: {value}" for name, value in self.metadata.items()]
        fields = [f"{name} {rule}" for name, rule in self.violations]
        call = [f"call {self.call_id}"] if self.call_id else []
        return "\n  ".join(map(printable, [f"{self.reason or self.code}: {self.text}", *named, *fields, *call]))
