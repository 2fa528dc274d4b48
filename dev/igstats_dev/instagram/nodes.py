"""Nodes and lists: the profile, its media, its stories. Only the fields that were asked for."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from igstats_dev.instagram import figures, refusals
from igstats_dev.instagram.la_days import la_date, wire
from igstats_dev.instagram.people import Person, Post

_DEFAULT_LIMIT = 25
_LARGEST_LIMIT = 100


def user(person: Person, parameters: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """An IG User as Instagram Login shows it: `id` is app-scoped, `user_id` the professional account."""
    known: dict[str, Any] = {
        "id": person.scoped_id,
        "user_id": person.user_id,
        "username": person.username,
        "name": person.name,
        "biography": f"Synthetic profile for development. Hello from {person.username} ☀",
        "website": f"https://example.com/{person.username}",
        "account_type": "BUSINESS",
        "profile_picture_url": f"https://example.com/{person.username}.jpg",
        "followers_count": person.followers(la_date(now)),
        "follows_count": person.follows,
        "media_count": len(person.posts(now)),
    }
    return _asked(known, parameters)


def media(person: Person, post: Post, parameters: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """An IG Media. The like count is left out when its owner conceals it."""
    known: dict[str, Any] = {
        "id": post.media_id,
        "caption": post.caption,
        "media_type": post.media_type,
        "media_product_type": post.product,
        "permalink": f"https://www.instagram.com/p/{post.shortcode}/",
        "shortcode": post.shortcode,
        "timestamp": wire(post.posted_at),
        "username": person.username,
        "owner": {"id": person.user_id},
        "like_count": None if post.likes_hidden else figures.media_value(post, "likes", now),
        "comments_count": figures.media_value(post, "comments", now),
    }
    return {name: value for name, value in _asked(known, parameters).items() if value is not None}


def _asked(known: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = [name for name in parameters.get("fields", "").split(",") if name]
    for name in fields:
        if name not in known:
            raise refusals.bad_parameter(f"Tried accessing nonexistent field ({name})")
    return {name: known[name] for name in dict.fromkeys((*fields, "id"))}


def media_list(
    person: Person, posts: Sequence[Post], parameters: Mapping[str, str], now: datetime, address: str
) -> dict[str, Any]:
    """A page of media. The last page comes in both forms seen live: with both cursors, or with `before` only."""
    limit = min(_LARGEST_LIMIT, max(1, int(parameters.get("limit", _DEFAULT_LIMIT))))
    start = _position(parameters.get("after", ""), posts)
    page = posts[start : start + limit]
    answer: dict[str, Any] = {"data": [media(person, post, parameters, now) for post in page]}
    if page:
        answer["paging"] = _paging(person, posts, start + len(page), parameters, address)
    return answer


def _paging(
    person: Person, posts: Sequence[Post], end: int, parameters: Mapping[str, str], address: str
) -> dict[str, Any]:
    cursors = {"before": _cursor(posts[0].media_id), "after": _cursor(posts[end - 1].media_id)}
    if end < len(posts):
        query = urlencode({**parameters, "after": cursors["after"]})
        return {"cursors": cursors, "next": f"{address}?{query}"}
    return {"cursors": cursors if person.user_id[-1] in "13579" else {"before": cursors["before"]}}


def _cursor(media_id: str) -> str:
    return base64.urlsafe_b64encode(f"m:{media_id}".encode()).decode()


def _position(cursor: str, posts: Sequence[Post]) -> int:
    if not cursor:
        return 0
    try:
        media_id = base64.urlsafe_b64decode(cursor).decode().removeprefix("m:")
    except (binascii.Error, UnicodeDecodeError):
        raise refusals.bad_parameter("Invalid cursor") from None
    places = [place for place, post in enumerate(posts) if post.media_id == media_id]
    if not places:
        raise refusals.bad_parameter("Invalid cursor")
    return places[0] + 1
