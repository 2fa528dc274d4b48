"""What is decided by settings: which requests wait before they are accepted. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from igstats_privacy.model import Right


@dataclass(frozen=True)
class Policy:
    """What requests wait for here. By default nothing: a proved request is accepted at once."""

    approve: frozenset[Right] = frozenset()
    """Rights of which every request waits for an officer."""
    second_rows: int = 0
    """An erasure of more rows needs two officers; 0 for no such threshold."""
    second_tenant: bool = False
    """Whether the erasure of a customer needs two officers."""
    window: timedelta = timedelta(0)
    """How long the owner can take an erasure back; the data is restricted meanwhile."""
    restrict_contested: bool = True
    """Whether a correction that waits for an officer restricts the person's data meanwhile (GDPR article 18(1)(a))."""
    notice: timedelta = timedelta(0)
    """How long before an officer's lifting of a restriction the person is told."""
