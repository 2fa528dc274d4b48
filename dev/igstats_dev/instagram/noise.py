"""Repeatable randomness: the same seed and names give the same number, in any order and any process."""

import hashlib
import math
from statistics import NormalDist

_NORMAL = NormalDist()
_SCALE = 2**64
_MARGIN = 1e-9


def uniform(*names: object) -> float:
    """A number in [0, 1) that depends on the names only."""
    digest = hashlib.blake2b("\x1f".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _SCALE


def whole(limit: int, *names: object) -> int:
    """A whole number in [0, limit)."""
    return int(uniform(*names) * limit)


def log_normal(median: float, sigma: float, *names: object) -> float:
    """A log-normal number: followers, reach and likes of real profiles are spread like this."""
    z = _NORMAL.inv_cdf(min(max(uniform(*names), _MARGIN), 1 - _MARGIN))
    return median * math.exp(sigma * z)
