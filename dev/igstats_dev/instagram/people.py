"""Synthetic profiles and their media. Nobody real: every name says so, and every number follows from the seed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache

from igstats_dev.instagram.la_days import la_date, midnight, next_day
from igstats_dev.instagram.noise import log_normal, uniform, whole

TOKEN_PREFIX = "IGtest-"  # noqa: S105 - tokens of synthetic profiles are no secret
_FIRST = ("amber", "brisk", "coral", "dusty", "early", "fern", "gentle", "hazel", "ivory", "jolly", "keen", "lunar")
_SECOND = (
    "harbor",
    "kitchen",
    "meadow",
    "studio",
    "trail",
    "garden",
    "bakery",
    "atlas",
    "piano",
    "sail",
    "loft",
    "fox",
)
_EPOCH = date(2024, 1, 1)
_POSTS_DAYS = 120
# Shares: days with a story, posts that are reels, other posts that are albums, posts with concealed likes.
_STORIES, _REELS, _ALBUMS, _HIDDEN = 0.6, 0.4, 0.3, 0.05
_STORY_LIFE = timedelta(hours=24)
_CAPTIONS = (
    "Morning light",
    "Zwischen den Zeilen",
    "Pão de queijo 🧀",
    "厉害了",
    "Behind the scenes",
    "New week, new list",
)


@dataclass(frozen=True)
class Post:
    """A media item; its numbers grow with its age."""

    media_id: str
    media_type: str
    product: str
    caption: str
    posted_at: datetime
    shortcode: str
    likes_hidden: bool
    reach: float

    def grown(self, share: float, now: datetime, *, half_life_hours: float = 14.0) -> int:
        """`share` of the final reach, as far as it has come by `now`. Grows hour by hour, not request by request."""
        hours = max(0, int((now - self.posted_at).total_seconds() // 3600))
        return int(self.reach * share * (1 - math.exp(-hours * math.log(2) / half_life_hours)))


@dataclass(frozen=True)
class Person:
    """A synthetic profile."""

    seed: int
    username: str

    @cached_property
    def user_id(self) -> str:
        """Id of the professional account."""
        return f"178414{whole(10**11, self.seed, self.username, 'id'):011d}"

    @property
    def scoped_id(self) -> str:
        """App-scoped id, what Instagram Login calls `id`."""
        return f"9{whole(10**15, self.seed, self.username, 'scoped'):015d}"

    @property
    def access_token(self) -> str:
        """The one token that opens this profile."""
        return f"{TOKEN_PREFIX}{self.username}"

    @property
    def name(self) -> str:
        """Display name."""
        return f"{self.username.replace('_', ' ').title()} (synthetic)"

    @cached_property
    def base_followers(self) -> float:
        """Followers at the epoch: log-normal, as real profiles are spread."""
        return min(log_normal(2500, 1.5, self.seed, self.username, "followers"), 5_000_000.0)

    def followers(self, day: date) -> int:
        """Followers at the end of a day."""
        growth = 0.0004 + 0.0008 * uniform(self.seed, self.username, "growth")
        wobble = 0.002 * uniform(self.seed, self.username, "wobble", day)
        return max(12, int(self.base_followers * (1 + growth * (day - _EPOCH).days + wobble)))

    @property
    def follows(self) -> int:
        """Followed accounts."""
        return int(log_normal(350, 0.7, self.seed, self.username, "follows"))

    def posts(self, now: datetime) -> list[Post]:
        """Posts and reels, newest first."""
        return [post for day in self._days_back(now) if (post := _post_of(self, day)) and post.posted_at <= now]

    def stories(self, now: datetime) -> list[Post]:
        """Stories of the last 24 hours, newest first."""
        days = list(self._days_back(now))[:2]
        found = [self._story(day) for day in days if uniform(self.seed, self.username, "story?", day) < _STORIES]
        return [story for story in found if now - _STORY_LIFE < story.posted_at <= now]

    def _days_back(self, now: datetime) -> Iterator[date]:
        today = la_date(now)
        return (today - timedelta(days=back) for back in range(_POSTS_DAYS))

    def post_of(self, day: date) -> Post | None:
        """The post of a day, if there is one."""
        pace = 0.25 + 0.5 * uniform(self.seed, self.username, "pace")
        if uniform(self.seed, self.username, "post?", day) >= pace:
            return None
        reel = uniform(self.seed, self.username, "reel?", day) < _REELS
        still = "CAROUSEL_ALBUM" if uniform(self.seed, self.username, "album?", day) < _ALBUMS else "IMAGE"
        return self._made(day, "VIDEO" if reel else still, "REELS" if reel else "FEED")

    def _story(self, day: date) -> Post:
        return self._made(day, "IMAGE", "STORY")

    def _made(self, day: date, media_type: str, product: str) -> Post:
        key = (self.seed, self.username, product, day)
        length = int((midnight(next_day(day)) - midnight(day)).total_seconds())
        return Post(
            media_id=f"17{whole(10**15, *key, 'id'):015d}",
            media_type=media_type,
            product=product,
            caption=f"{_CAPTIONS[whole(len(_CAPTIONS), *key, 'caption')]} ({self.username})",
            posted_at=midnight(day) + timedelta(seconds=whole(length, *key, "time")),
            shortcode=f"C{whole(36**8, *key, 'code'):08x}",
            likes_hidden=uniform(*key, "hidden") < _HIDDEN,
            reach=self.followers(day) * log_normal(0.3, 0.5, *key, "reach"),
        )


@lru_cache(maxsize=50_000)
def _post_of(person: Person, day: date) -> Post | None:
    return person.post_of(day)


class People:
    """All profiles of one emulator, by token and by id."""

    def __init__(self, count: int, *, seed: int) -> None:
        self.all = [Person(seed, username) for username in _usernames(count)]
        self._by_token = {person.access_token: person for person in self.all}

    def of_token(self, token: str) -> Person | None:
        """The profile that a token opens."""
        return self._by_token.get(token)


def _usernames(count: int) -> Iterator[str]:
    pairs = len(_FIRST) * len(_SECOND)
    for number in range(count):
        first, second = _FIRST[number % len(_FIRST)], _SECOND[(number // len(_FIRST)) % len(_SECOND)]
        yield f"{first}_{second}" if number < pairs else f"{first}_{second}_{number // pairs}"
