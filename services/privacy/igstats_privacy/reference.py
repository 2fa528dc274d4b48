"""Short references that people can read to each other over the telephone, such as 7K2Q-M4TD."""

import secrets
from collections.abc import Callable, Sequence

# No 0, O, 1 or I: they are mistaken for each other. 32 letters, so a reference carries 40 bits.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_HALF = 4


def new_reference(choose: Callable[[Sequence[str]], str] = secrets.choice) -> str:
    """A random reference. It says nothing about the person or the request."""
    letters = [choose(ALPHABET) for _ in range(2 * _HALF)]
    return f"{''.join(letters[:_HALF])}-{''.join(letters[_HALF:])}"
