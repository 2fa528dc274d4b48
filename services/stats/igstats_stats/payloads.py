"""Parses what Instagram sends. Pure, and tolerant where public samples differ from the documentation.

Titles and descriptions are localised and never read. Enumerations are open. An absent number stays absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from igstats_stats.model import Count, MediaFacts, Missing, ProfileFacts, count_or


class PayloadError(ValueError):
    """The answer lacks what every answer of its kind has. Names the field, never a value."""


@dataclass(frozen=True)
class Page:
    """A page of media; `after` is the cursor of the next one, empty at the end."""

    items: tuple[MediaFacts, ...]
    after: str


@dataclass(frozen=True)
class Sample:
    """One value of a series: a number, a map (online_followers by hour), or None when neither."""

    value: int | Mapping[str, int] | None
    end_time: datetime | None


@dataclass(frozen=True)
class Slice:
    """One result of a breakdown: its dimensions by key, as sent."""

    dimensions: Mapping[str, str]
    value: int


@dataclass(frozen=True)
class Insight:
    """One metric of an insights answer. `samples` and `total` may both be there, or neither."""

    name: str
    period: str
    samples: tuple[Sample, ...] = ()
    total: int | None = None
    slices: tuple[Slice, ...] = field(default=())

    @property
    def value(self) -> int | None:
        """The one number of a total or lifetime metric."""
        if self.total is not None:
            return self.total
        only = self.samples[0].value if len(self.samples) == 1 else None
        return only if isinstance(only, int) else None


def user(payload: object, app_id: str = "") -> ProfileFacts:
    """An IG User. `user_id` (Instagram Login) is the professional account; `id` is app-scoped where both are sent."""
    body = _object(payload, "user")
    return ProfileFacts(
        instagram_user_id=_identifier(body, "user_id", "id"),
        app_user_id=f"{app_id}:{_identifier(body, 'id')}" if app_id and body.get("user_id") else "",
        username=_text(body, "username").lower(),
        name=_text(body, "name"),
        biography=_text(body, "biography"),
        website=_text(body, "website"),
        followers=_number(body.get("followers_count")),
        follows=_number(body.get("follows_count")),
        media=_number(body.get("media_count")),
    )


def media_page(payload: object, *, product_type: str = "") -> Page:
    """A page of `/media`, `/stories` or `/tags`. `product_type` stands in for items that do not say theirs."""
    body = _object(payload, "page")
    items = tuple(media(item, product_type=product_type) for item in _list(body.get("data")))
    return Page(items, _after(body.get("paging")))


def media(payload: object, *, product_type: str = "") -> MediaFacts:
    """An IG Media. Only the owner reads it here, so an absent like count is one that the owner conceals."""
    body = _object(payload, "media")
    return MediaFacts(
        media_id=_identifier(body, "id"),
        media_type=_text(body, "media_type"),
        product_type=_text(body, "media_product_type") or product_type,
        caption=_text(body, "caption"),
        permalink=_text(body, "permalink"),
        posted_at=timestamp(body.get("timestamp")),
        likes=count_or(_number(body.get("like_count")), Missing.HIDDEN_BY_OWNER),
        comments=count_or(_number(body.get("comments_count")), Missing.NOT_REQUESTED),
    )


def insights(payload: object) -> tuple[Insight, ...]:
    """The metrics of an insights answer: a `data` list, an expanded `insights` field, or one bare metric."""
    body = _object(payload, "insights")
    body = _object(body["insights"], "insights") if "insights" in body else body
    found = [body] if "name" in body else _list(body.get("data"))
    return tuple(_insight(_object(item, "insight")) for item in found)


def distribution(insight: Insight, dimension: str) -> dict[str, int]:
    """Slices of a demographics metric by one dimension; a timeframe key beside it does not matter."""
    return {found.dimensions[dimension]: found.value for found in insight.slices if dimension in found.dimensions}


def timestamp(value: object) -> datetime:
    """A time with its offset, as in 2021-03-03T22:48:39+0000."""
    if not isinstance(value, str):
        raise PayloadError("a timestamp is absent")
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise PayloadError("a timestamp is malformed") from None
    if found.tzinfo is None:
        raise PayloadError("a timestamp has no offset")
    return found


def total(insight: Insight | None) -> Count:
    """The number of a total or lifetime metric; EMPTY when Instagram sent none."""
    return count_or(insight.value if insight else None, Missing.EMPTY)


def _insight(body: Mapping[str, Any]) -> Insight:
    whole = body.get("total_value")
    whole = whole if isinstance(whole, Mapping) else {}
    return Insight(
        name=_text(body, "name"),
        period=_text(body, "period"),
        samples=tuple(_sample(item) for item in _list(body.get("values")) if isinstance(item, Mapping)),
        total=_number(whole.get("value")),
        slices=tuple(found for part in _list(whole.get("breakdowns")) for found in _slices(part)),
    )


def _sample(body: Mapping[str, Any]) -> Sample:
    end_time = timestamp(body["end_time"]) if "end_time" in body else None
    value = body.get("value")
    if isinstance(value, Mapping):
        numbers = {str(key): number for key, item in value.items() if (number := _number(item)) is not None}
        return Sample(numbers, end_time)
    return Sample(_number(value), end_time)


def _slices(part: object) -> Iterator[Slice]:
    body = part if isinstance(part, Mapping) else {}
    keys = [str(key) for key in _list(body.get("dimension_keys"))]
    for result in _list(body.get("results")):
        number = _number(result.get("value")) if isinstance(result, Mapping) else None
        if number is not None:
            values = [str(value) for value in _list(result.get("dimension_values"))]
            yield Slice(dict(zip(keys, values, strict=False)), number)


def _after(paging: object) -> str:
    """The next cursor. Only a `next` address means that there is a next page; the address itself is never followed."""
    body = paging if isinstance(paging, Mapping) else {}
    address = body.get("next")
    if not isinstance(address, str) or not address:
        return ""
    cursors = body.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    return str(after) if after else next(iter(parse_qs(urlsplit(address).query).get("after", [])), "")


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value.replace("\x00", "") if isinstance(value, str) else ""  # PostgreSQL stores no NUL in text


def _identifier(body: Mapping[str, Any], *names: str) -> str:
    """The first id found under `names`; ids come as strings and as numbers."""
    for name in names:
        value = body.get(name)
        if value and isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    raise PayloadError(f"{names[-1]} is absent")


def _object(payload: object, name: str) -> Mapping[str, Any]:
    if not isinstance(payload, Mapping):
        raise PayloadError(f"{name} is no object")
    return payload


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
