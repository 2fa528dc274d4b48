"""Instagram as one connection sees it: who am I, my media, my insights. The connector's only public face.

Pages are walked by cursor below our own host; the `next` address of an answer is never followed. A metric that
Instagram refuses is found by halving the list once; the others are kept.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from igstats_stats import days, payloads
from igstats_stats.errors import refused, unavailable
from igstats_stats.graph import Budget, GraphClient, GraphRefusalError
from igstats_stats.metrics import STORY, AudienceMetric
from igstats_stats.model import AudienceFacts, Count, Missing, ProfileFacts
from igstats_stats.payloads import Insight, Page, PayloadError
from igstats_stats.verdicts import Usage, Verdict

PAGE = 100
_PROFILE_FIELDS = "id,user_id,username,name,biography,website,followers_count,follows_count,media_count"
_MEDIA_FIELDS = "id,caption,media_type,media_product_type,permalink,timestamp,like_count,comments_count"
_REASONS = {
    Verdict.BELOW_THRESHOLD: Missing.BELOW_THRESHOLD,
    Verdict.PERMISSION: Missing.PERMISSION,
    Verdict.POSTED_BEFORE_CONVERSION: Missing.POSTED_BEFORE_CONVERSION,
}


class MediaGoneError(Exception):
    """Deleted, not permitted, or a disguised limit: nothing can be said about the media item now."""


@dataclass(frozen=True)
class Answer:
    """Insights by metric name, and why the others are missing."""

    insights: Mapping[str, Insight] = field(default_factory=dict)
    missing: Mapping[str, Missing] = field(default_factory=dict)

    @property
    def unsupported(self) -> frozenset[str]:
        """Metrics that need not be asked again for a while."""
        return frozenset(name for name, reason in self.missing.items() if reason is Missing.NOT_SUPPORTED)

    def total(self, metric: str) -> Count:
        """The number of a total or lifetime metric."""
        if metric in self.missing:
            return Count(missing=self.missing[metric])
        return payloads.total(self.insights.get(metric))

    def by_day(self, metric: str) -> dict[date, Count]:
        """The numbers of a daily series."""
        samples = self.insights[metric].samples if metric in self.insights else ()
        return {
            days.metric_day(sample.end_time): Count(sample.value)
            for sample in samples
            if sample.end_time is not None and isinstance(sample.value, int)
        }


def _none(metrics: Iterable[str], reason: Missing) -> Answer:
    return Answer(missing=dict.fromkeys(metrics, reason))


def _merged(one: Answer, other: Answer) -> Answer:
    return Answer({**one.insights, **other.insights}, {**one.missing, **other.missing})


class InstagramClient:
    """Makes one `OwnerClient` per connection over the shared transport."""

    def __init__(self, graph: GraphClient, app_id: str = "") -> None:
        self._graph = graph
        self._app_id = app_id

    def owner(self, access_token: str) -> "OwnerClient":
        """Instagram as the owner of `access_token` sees it."""
        return OwnerClient(self._graph, access_token, self._app_id)


class OwnerClient:
    """Calls with one token. Raises what `GraphClient.call` raises; INSTAGRAM_REFUSED for what cannot be mended."""

    def __init__(self, graph: GraphClient, access_token: str, app_id: str) -> None:
        self._graph = graph
        self._app_id = app_id
        self._access_token = access_token
        self._budget = Budget()
        self._keep: Callable[[], Awaitable[None]] | None = None

    def keep_with(self, keep: Callable[[], Awaitable[None]]) -> None:
        """Awaits `keep` before every call from now on; what it raises ends the call."""
        self._keep = keep

    @property
    def usage(self) -> Usage:
        """How much of the call limits the last answer reported."""
        return self._budget.usage

    async def me(self) -> ProfileFacts:
        """The profile that the token belongs to."""
        try:
            return payloads.user(await self._call("me", {"fields": _PROFILE_FIELDS}), self._app_id)
        except GraphRefusalError as refusal:
            raise refused(refusal.code) from refusal
        except PayloadError as error:
            raise unavailable() from error

    async def media(self, user_id: str, after: str = "") -> Page:
        """A page of posts, newest first. A page too large for Instagram is asked again in halves."""
        limit = PAGE
        while True:
            try:
                return await self._page(f"{user_id}/media", after, limit)
            except GraphRefusalError as refusal:
                if refusal.verdict is not Verdict.SHRINK or limit == 1:
                    raise refused(refusal.code) from refusal
                limit //= 2

    async def stories(self, user_id: str, after: str = "") -> Page:
        """A page of live stories; they last 24 hours."""
        try:
            return await self._page(f"{user_id}/stories", after, PAGE, product_type=STORY)
        except GraphRefusalError as refusal:
            raise refused(refusal.code) from refusal

    async def day_series(self, user_id: str, metrics: Sequence[str], first: date, last: date) -> Answer:
        """Daily values of a window (`days.windows`)."""
        since, until = days.seconds(first, last)
        window = {"period": "day", "metric_type": "time_series", "since": str(since), "until": str(until)}
        return await self._insights(f"{user_id}/insights", metrics, window)

    async def day_totals(self, user_id: str, metrics: Sequence[str], day: date) -> Answer:
        """Totals of one day: Instagram gives one number a call."""
        since, until = days.seconds(day, day)
        window = {"period": "day", "metric_type": "total_value", "since": str(since), "until": str(until)}
        return await self._insights(f"{user_id}/insights", metrics, window)

    async def media_insights(self, media_id: str, metrics: Sequence[str]) -> Answer:
        """Cumulative numbers of one media item.

        Raises:
            MediaGoneError: Nothing can be said about it now.
        """
        return await self._insights(f"{media_id}/insights", metrics, {"period": "lifetime"})

    async def audience(self, user_id: str, metric: AudienceMetric, dimension: str) -> AudienceFacts:
        """One distribution."""
        parameters = {"period": "lifetime", "metric_type": "total_value", "breakdown": dimension}
        parameters |= {"timeframe": metric.timeframe} if metric.timeframe else {}
        answer = await self._insights(f"{user_id}/insights", (metric.name,), parameters)
        insight = answer.insights.get(metric.name)
        slices = payloads.distribution(insight, dimension) if insight else {}
        reason = answer.missing.get(metric.name, Missing.EMPTY)
        return AudienceFacts(metric.name, dimension, slices, None if slices else reason)

    async def _page(self, path: str, after: str, limit: int, *, product_type: str = "") -> Page:
        parameters = {"fields": _MEDIA_FIELDS, "limit": str(limit)} | ({"after": after} if after else {})
        try:
            return payloads.media_page(await self._call(path, parameters), product_type=product_type)
        except PayloadError as error:
            raise unavailable() from error

    async def _insights(self, path: str, metrics: Sequence[str], parameters: Mapping[str, str]) -> Answer:
        """Asks for all metrics and finds the culprit among them. When all are refused it is no metric's fault."""
        answer = await self._ask(path, metrics, parameters)
        if len(metrics) > 1 and len(answer.unsupported) == len(metrics):
            raise refused(100)
        return answer

    async def _ask(self, path: str, metrics: Sequence[str], parameters: Mapping[str, str]) -> Answer:
        try:
            payload = await self._call(path, {"metric": ",".join(metrics), **parameters})
            return Answer({insight.name: insight for insight in payloads.insights(payload)})
        except PayloadError as error:
            raise unavailable() from error
        except GraphRefusalError as refusal:
            if refusal.verdict in _REASONS:
                return _none(metrics, _REASONS[refusal.verdict])
            if refusal.verdict is Verdict.GONE:
                raise MediaGoneError from refusal
            if refusal.verdict is not Verdict.BAD_PARAMETER:
                raise refused(refusal.code) from refusal
        return await self._halve(path, metrics, parameters)

    async def _halve(self, path: str, metrics: Sequence[str], parameters: Mapping[str, str]) -> Answer:
        if len(metrics) == 1:
            return _none(metrics, Missing.NOT_SUPPORTED)
        middle = len(metrics) // 2
        first = await self._ask(path, metrics[:middle], parameters)
        return _merged(first, await self._ask(path, metrics[middle:], parameters))

    async def _call(self, path: str, parameters: Mapping[str, str]) -> object:
        if self._keep is not None:
            await self._keep()
        return await self._graph.call(self._access_token, path, parameters, self._budget)
