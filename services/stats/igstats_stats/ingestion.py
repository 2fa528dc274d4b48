"""One synchronisation of one connection: profile, days, media, insights, audience. Each part is bounded.

Whatever ends it early leaves what was written, says so on the connection, and the next synchronisation goes on.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_stats import days, facts
from igstats_stats.errors import token_dead
from igstats_stats.instagram import Answer, MediaGoneError, OwnerClient
from igstats_stats.metrics import AUDIENCE, SERIES, STORY, TOTALS
from igstats_stats.model import Count, InsightFacts, Lease, MediaDue, MediaFacts, Unsupported
from igstats_stats.store.ingest import IngestStore

T = TypeVar("T")

LOOK_BACK_DAYS = 30
DAYS_AT_ONCE = 3  # a batch; the first holds the days that Instagram may still correct
INSIGHTS_AT_ONCE = 10
INSIGHTS_A_SYNC = 50
MEDIA_FRESH = timedelta(days=35)
WALK_AGAIN = timedelta(days=7)
AUDIENCE_AGAIN = timedelta(days=7)
CAPABILITY_LIFE = timedelta(days=7)
KEEP_AGAIN = timedelta(seconds=20)  # with one call and its repeats (about 70 s at most) less than the time of a lease


class Refusals:
    """Metrics that Instagram refuses for a profile, by product type: found once, remembered, not asked again."""

    def __init__(self, store: IngestStore, lease: Lease, known: dict[str, frozenset[str]]) -> None:
        self._store = store
        self._lease = lease
        self._known = known

    def of(self, product_type: str) -> frozenset[str]:
        """What is known to be refused."""
        return self._known.get(product_type, frozenset())

    async def learn(self, product_type: str, metrics: frozenset[str]) -> None:
        """Remembers what an answer has shown."""
        if metrics:
            self._known[product_type] = self.of(product_type) | metrics
            await self._store.save_unsupported(self._lease, Unsupported(product_type, metrics))


class Keeping:
    """Keeps the lease of a synchronisation while Instagram is slow: many calls can lie between two writes."""

    def __init__(self, store: IngestStore, lease: Lease, clock: Clock) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._again = clock.now() + KEEP_AGAIN

    async def __call__(self) -> None:
        """Asks the fence and prolongs the lease, if that is a while ago.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
            LeaseLostError: The connection is gone, or another replica synchronises it.
        """
        if self._clock.now() >= self._again:
            await self._store.touch(self._lease)
            self._again = self._clock.now() + KEEP_AGAIN


class Ingestion:
    """Brings one profile up to date."""

    def __init__(self, store: IngestStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def sync(self, lease: Lease, owner: OwnerClient) -> None:
        """Asks Instagram for what is new or unsettled and writes it.

        Raises:
            DomainError: SUBJECT_ERASED, SUBJECT_RESTRICTED or INSTAGRAM_*; what was written stays.
            LeaseLostError: The connection was ended meanwhile.
        """
        if not lease.access_token:
            raise token_dead()  # the stored token does not open: the owner must connect again
        await self._store.touch(lease)
        lease = await self._sync_profile(lease, owner)
        owner.keep_with(Keeping(self._store, lease, self._clock))
        since = self._clock.now() - CAPABILITY_LIFE
        refusals = Refusals(self._store, lease, await self._store.unsupported(lease.profile_id, since))
        await self._sync_days(lease, owner, refusals)
        await self._sync_media(lease, owner)
        await self._sync_insights(lease, owner, refusals)
        await self._sync_audience(lease, owner)

    async def _sync_profile(self, lease: Lease, owner: OwnerClient) -> Lease:
        found = await owner.me()
        if found.instagram_user_id != lease.instagram_user_id:
            raise token_dead()  # the token was given for another profile
        return await self._store.save_profile(lease, found)

    async def _sync_days(self, lease: Lease, owner: OwnerClient, refusals: Refusals) -> None:
        """Newest days first: near the call limit only those that Instagram may still correct."""
        last = days.last_complete(self._clock.now())
        settled = await self._store.settled_days(lease.profile_id, last - timedelta(days=LOOK_BACK_DAYS - 1))
        wanted = facts.needed_days(last, settled, LOOK_BACK_DAYS)
        found = await self._series(lease, owner, refusals, wanted)
        for place, batch in enumerate(_batches(wanted, DAYS_AT_ONCE)):
            if place and owner.usage.slow:
                return
            counts = {day: found[day] | await self._totals(lease, owner, refusals, day) for day in batch}
            await self._store.save_days(lease, facts.day_facts(counts, self._clock.now()))

    async def _series(
        self, lease: Lease, owner: OwnerClient, refusals: Refusals, wanted: Sequence[date]
    ) -> dict[date, dict[str, Count]]:
        found: dict[date, dict[str, Count]] = {}
        for first, last in days.windows(wanted[-1], wanted[0]) if wanted else ():
            known = refusals.of(facts.USER)
            metrics = tuple(metric for metric in SERIES if metric not in known)
            answer = await owner.day_series(lease.instagram_user_id, metrics, first, last)
            await refusals.learn(facts.USER, answer.unsupported)
            counts = facts.series_days(answer, metrics, first, last)
            found |= {day: each | facts.refused(known & set(SERIES)) for day, each in counts.items()}
        return found

    async def _totals(self, lease: Lease, owner: OwnerClient, refusals: Refusals, day: date) -> dict[str, Count]:
        known = refusals.of(facts.USER)
        metrics = tuple(metric for metric in TOTALS if metric not in known)
        answer = await owner.day_totals(lease.instagram_user_id, metrics, day)
        await refusals.learn(facts.USER, answer.unsupported)
        return facts.totals(answer, metrics) | facts.refused(known & set(TOTALS))

    async def _sync_media(self, lease: Lease, owner: OwnerClient) -> None:
        """Walks all media once a week to the last cursor, otherwise those that are young enough to change."""
        now = self._clock.now()
        whole = lease.media_walked_at is None or lease.media_walked_at + WALK_AGAIN <= now
        after, more = "", True
        while more:
            page = await owner.media(lease.instagram_user_id, after)
            await self._store.save_media(lease, page.items)
            after = page.after
            more = bool(after) and (whole or _is_fresh(page.items, now))
        if whole:
            await self._store.save_walked(lease)
        stories = await owner.stories(lease.instagram_user_id)
        await self._store.save_media(lease, stories.items)

    async def _sync_insights(self, lease: Lease, owner: OwnerClient, refusals: Refusals) -> None:
        due = await self._store.insights_due(lease.profile_id, INSIGHTS_A_SYNC)
        for batch in _batches(due, INSIGHTS_AT_ONCE):
            # Near the call limit posts can wait; stories are gone tomorrow.
            asked = [item for item in batch if item.product_type == STORY or not owner.usage.slow]
            found = [await self._insights(owner, item, refusals) for item in asked]
            await self._store.save_insights(lease, found)

    async def _insights(self, owner: OwnerClient, item: MediaDue, refusals: Refusals) -> InsightFacts:
        now = self._clock.now()
        known = refusals.of(item.product_type)
        metrics = facts.askable(item, known)
        if facts.is_expired(item, now):
            return InsightFacts(item.media_id, {}, None)
        try:
            answer = await owner.media_insights(item.media_id, metrics) if metrics else Answer()
        except MediaGoneError:
            return facts.insight_facts(item, {}, now)
        except DomainError as error:
            if error.reason is not Reason.INSTAGRAM_REFUSED:
                raise
            return facts.insight_facts(item, facts.refused(metrics), now)
        await refusals.learn(item.product_type, answer.unsupported)
        return facts.insight_facts(item, facts.totals(answer, metrics) | facts.refused(known), now)

    async def _sync_audience(self, lease: Lease, owner: OwnerClient) -> None:
        now = self._clock.now()
        if owner.usage.slow or (lease.audience_due_at is not None and lease.audience_due_at > now):
            return
        found = [
            await owner.audience(lease.instagram_user_id, metric, dimension)
            for metric in AUDIENCE
            for dimension in metric.dimensions
        ]
        await self._store.save_audience(lease, found, days.day_of(now), now + AUDIENCE_AGAIN)


def _is_fresh(items: Sequence[MediaFacts], now: datetime) -> bool:
    return bool(items) and items[-1].posted_at > now - MEDIA_FRESH


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
