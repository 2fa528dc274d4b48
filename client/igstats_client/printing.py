"""Text of others on its way to a terminal or a program: it stays text, on the line where it belongs; pure."""

import json

_JOINERS = "\u200c\u200d"
"""Names are written with them (Persian, emoji); unlike other marks of format they neither hide nor turn around text."""


def printable(text: str) -> str:
    """A text in one line; what would steer a terminal, or turn the line around, is shown by the escape of Python."""
    if text.isprintable():
        return text
    return "".join(one if _harmless(one) else one.encode("unicode_escape").decode("ascii") for one in text)


def printable_json(text: str) -> str:
    """JSON of others, in which whatever would steer a terminal is escaped. Its lines stay, and so does what it says."""
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    return "".join(one if _harmless(one) else json.dumps(one)[1:-1] for one in line)


def _harmless(one: str) -> bool:
    return one.isprintable() or one in _JOINERS
