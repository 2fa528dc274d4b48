"""Errors as Instagram words them, HTTP status included."""

from typing import Any


class RefusalError(Exception):
    """A call that ends with an error body."""

    def __init__(self, status: int, code: int, message: str, *, subcode: int = 0, **more: Any) -> None:  # noqa: ANN401 - JSON
        self.status = status
        self.headers: dict[str, str] = {}
        error = {"message": message, "type": "OAuthException", "code": code}
        error |= {"error_subcode": subcode} if subcode else {}
        self.body = {"error": {**error, **more, "fbtrace_id": "synthetic"}}
        super().__init__(message)


def bad_parameter(message: str) -> RefusalError:
    """A parameter, metric or window that the call does not take."""
    return RefusalError(400, 100, f"(#100) {message}")


def object_missing(name: str) -> RefusalError:
    """Gone, not permitted, or another token's."""
    text = (
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation."
    )
    return RefusalError(400, 100, text, subcode=33)


def dead_token(subcode: int) -> RefusalError:
    """The token is expired, revoked or never was."""
    return RefusalError(400, 190, "Error validating access token: the session is not valid.", subcode=subcode)


def throttled(code: int) -> RefusalError:
    """A call limit is used up."""
    texts = {
        4: "(#4) Application request limit reached",
        80002: "(#80002) There have been too many calls to this Instagram account.",
    }
    return RefusalError(403, code, texts.get(code, f"(#{code}) Calls to this api have exceeded the rate limit."))


def transient() -> RefusalError:
    """Come back later."""
    text = "An unexpected error has occurred. Please retry your request later."
    return RefusalError(500, 2, text, is_transient=True)


def too_much() -> RefusalError:
    """The page is too large for Instagram's time limit."""
    return RefusalError(500, 1, "Please reduce the amount of data you're asking for, then retry your request")


def unsupported_metric(metric: str) -> RefusalError:
    """One metric that the media item's product type does not have: it fails the whole call."""
    return bad_parameter(f"The Media Insights API does not support the {metric} metric for this media product type.")


def too_few_viewers() -> RefusalError:
    """A story with fewer than five viewers."""
    return RefusalError(400, 10, "(#10) Not enough viewers for the media to show insights")
