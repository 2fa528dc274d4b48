"""Faults of the log that no caller can do anything about."""


class LogForkedError(Exception):
    """The stored head is not one that this log signed, or is older than one it signed: nothing may be signed on top."""
