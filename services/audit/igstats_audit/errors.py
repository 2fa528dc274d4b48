"""Faults of the log that no caller can do anything about."""

from collections.abc import Collection, Mapping

from igstats_kit.errors import SpeakingError


class LogForkedError(Exception):
    """The stored head is not one that this log signed, or is older than one it signed: nothing may be signed on top."""


class LogPutBackError(SpeakingError):
    """The database holds less than a log has signed, or something else: it was put back, or changed."""

    def __init__(self, log: str, what: str) -> None:
        """Takes the log, and what is wrong with it."""
        super().__init__(f"the log {log} {what}: see docs/runbooks/audit-restored.md")


class KeyLostError(Exception):
    """A key of the day is gone while data keys need it. Nothing is destroyed or made until a person has decided."""

    def __init__(self, wrapped: Mapping[str, int]) -> None:
        """Takes how many data keys each missing key of the day wraps."""
        lost = ", ".join(f"{kek_id} ({count} data keys)" for kek_id, count in sorted(wrapped.items()))
        super().__init__(
            f"the key directory lacks {lost}. If the database was restored: restore the table data_keys from its newest"
            " copy. If the directory was lost: restore it. See docs/runbooks/audit-keys.md"
        )


class KeyDamagedError(Exception):
    """A wrapped data key does not open under its own key of the day: its row was changed or moved."""

    def __init__(self, key_id: str, subjects: Collection[str] = ()) -> None:
        """Takes the id of the data key, and the names of all subjects of the same question whose keys are damaged."""
        super().__init__(f"data key {key_id} is damaged: see docs/runbooks/audit-keys.md")
        self.key_id = key_id
        self.subjects = frozenset(subjects)


class TileMissingError(Exception):
    """A part of a tree is cut, or was never there, or is lost."""
