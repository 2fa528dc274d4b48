"""What an error or a usage header of Instagram means for us. Only codes count: almost every error has the same type.

Messages are read in three places where Meta gives one code two meanings; each is marked.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SLOW_PERCENT = 75
STOP_PERCENT = 90


class Verdict(StrEnum):
    """What to do about an error."""

    RETRY = "RETRY"  # transient: again, later and later
    SHRINK = "SHRINK"  # ask for less at once
    BLOCK_APP = "BLOCK_APP"  # no call of any connection until the limit is over
    BLOCK_ACCOUNT = "BLOCK_ACCOUNT"  # no call of this connection until the limit is over
    TOKEN_DEAD = "TOKEN_DEAD"  # noqa: S105 - the owner must connect again
    PERMISSION = "PERMISSION"
    BELOW_THRESHOLD = "BELOW_THRESHOLD"  # data, not failure: too few people
    POSTED_BEFORE_CONVERSION = "POSTED_BEFORE_CONVERSION"
    GONE = "GONE"  # deleted, not permitted, or a disguised limit
    BAD_PARAMETER = "BAD_PARAMETER"  # never again as is; a metric among several may be the culprit
    REFUSED = "REFUSED"


@dataclass(frozen=True)
class GraphError:
    """An error body."""

    code: int
    subcode: int = 0
    message: str = ""
    transient: bool = False


@dataclass(frozen=True)
class Usage:
    """How much of the call limits is used, in percent, and how long Instagram wants no calls."""

    app_percent: int = 0
    account_percent: int = 0
    regain_minutes: int = 0

    @property
    def percent(self) -> int:
        """The fuller of the two limits."""
        return max(self.app_percent, self.account_percent)

    @property
    def slow(self) -> bool:
        """Whether only what is due now should be asked."""
        return self.percent >= SLOW_PERCENT

    @property
    def stop(self) -> bool:
        """Whether nothing should be asked: calls while blocked prolong the block."""
        return self.percent >= STOP_PERCENT


_BY_CODE = {
    2: Verdict.RETRY,
    4: Verdict.BLOCK_APP,
    17: Verdict.BLOCK_ACCOUNT,
    32: Verdict.BLOCK_ACCOUNT,
    102: Verdict.TOKEN_DEAD,
    190: Verdict.TOKEN_DEAD,
    341: Verdict.BLOCK_APP,
    368: Verdict.BLOCK_ACCOUNT,
    613: Verdict.BLOCK_ACCOUNT,
    80002: Verdict.BLOCK_ACCOUNT,
}
_SUBCODES_OF_100 = {33: Verdict.GONE, 2108006: Verdict.POSTED_BEFORE_CONVERSION}
_PERMISSIONS = range(200, 300)


def verdict(error: GraphError) -> Verdict:
    """What to do about `error`."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if error.code == 1:  # two meanings: "reduce the amount of data", and anything unknown
        return Verdict.SHRINK if "reduce the amount of data" in error.message.lower() else Verdict.RETRY
    if error.code == 10:  # noqa: PLR2004 - two meanings: a threshold, and a lacking permission
        below = "not enough viewers" in error.message.lower()
        return Verdict.BELOW_THRESHOLD if below else Verdict.PERMISSION
    if error.code == 100:  # noqa: PLR2004 - Meta's code for every bad parameter, and for a feature not granted
        return _verdict_of_100(error)
    if error.code in _PERMISSIONS:
        return Verdict.PERMISSION
    return Verdict.RETRY if error.transient else Verdict.REFUSED


def _verdict_of_100(error: GraphError) -> Verdict:
    if error.subcode in _SUBCODES_OF_100:
        return _SUBCODES_OF_100[error.subcode]
    return Verdict.PERMISSION if "public content access" in error.message.lower() else Verdict.BAD_PARAMETER


def graph_error(payload: object) -> GraphError | None:
    """The error in an answer, None when it is not an error. Takes the flat form of the token endpoints too."""
    body = payload if isinstance(payload, Mapping) else {}
    error = body.get("error")
    if isinstance(error, Mapping):
        message, subcode = error.get("message"), error.get("error_subcode")
        return GraphError(_int(error.get("code")), _int(subcode), str(message or ""), error.get("is_transient") is True)
    if "error_type" in body or "error_message" in body:
        return GraphError(_int(body.get("code")), message=str(body.get("error_message") or ""))
    return None


def usage(headers: Mapping[str, str]) -> Usage:
    """Reads X-App-Usage and X-Business-Use-Case-Usage; a malformed header counts as absent."""
    app = _json(headers.get("X-App-Usage"))
    cases = list(_instagram_cases(_json(headers.get("X-Business-Use-Case-Usage"))))
    return Usage(
        app_percent=_percent(app),
        account_percent=max((_percent(case) for case in cases), default=0),
        regain_minutes=max((_int(case.get("estimated_time_to_regain_access")) for case in cases), default=0),
    )


def _instagram_cases(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Objects of type instagram: the other types are limits of other products."""
    for cases in body.values():
        for case in cases if isinstance(cases, list) else []:
            if isinstance(case, Mapping) and case.get("type") == "instagram":
                yield case


def _percent(body: Mapping[str, Any]) -> int:
    return max(_int(body.get(name)) for name in ("call_count", "total_time", "total_cputime"))


def _json(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
