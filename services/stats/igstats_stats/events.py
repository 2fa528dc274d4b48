"""Facts that stats publishes, and its streams. Only ids and counts travel."""

from collections.abc import Mapping
from datetime import timedelta

from igstats.event.v1.events_pb2 import ProfileChanged, SyncRequested
from igstats_kit.declare import days, impersonal_store
from igstats_kit.events import Event, Stream, Subscription

SYNC_REQUESTED = "igstats.stats.v1.sync.requested"
PROFILE_CHANGED = "igstats.stats.v1.profile.changed"

STREAMS = (
    Stream("SYNC", (SYNC_REQUESTED,), timedelta(days=1), impersonal_store("connections to synchronise: ids", days(1))),
    Stream("PROFILES", (PROFILE_CHANGED,), timedelta(days=7), impersonal_store("profiles that changed: ids", days(7))),
)
SYNC = Subscription("SYNC", "stats-sync", SYNC_REQUESTED)


def sync_requested(connection_id: str) -> SyncRequested:
    """A connection should be synchronised."""
    return SyncRequested(connection_id=connection_id)


def connection_of(event: Event) -> str:
    """Which connection a SyncRequested is about."""
    return SyncRequested.FromString(event.data).connection_id


def profile_changed(profile_id: int, counts: Mapping[str, int]) -> ProfileChanged:
    """Rows of a profile were written, counted by kind."""
    return ProfileChanged(profile_id=profile_id, counts=counts)
