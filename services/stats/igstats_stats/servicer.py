"""The public API of stats, as the gateway passes it on: proto in, proto out."""

from igstats.api.v1 import connection_service_pb2 as connection_api
from igstats.api.v1 import stats_service_pb2 as stats_api
from igstats.api.v1.connection_service_pb2_grpc import ConnectionServiceServicer
from igstats.api.v1.stats_service_pb2_grpc import StatsServiceServicer
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import account

from igstats_stats import messages
from igstats_stats.connections import Connections
from igstats_stats.profiles import Profiles
from igstats_stats.series import TimeSeries


class StatsServicer(StatsServiceServicer):
    """Statistics of connected profiles."""

    def __init__(self, profiles: Profiles, series: TimeSeries) -> None:
        self._profiles = profiles
        self._series = series

    async def GetProfile(  # noqa: N802 - gRPC name
        self, request: stats_api.GetProfileRequest, _context: Context
    ) -> stats_api.GetProfileResponse:
        """Reads a profile."""
        found = await self._profiles.get(account().account_id, request.profile)
        return stats_api.GetProfileResponse(profile=messages.profile(found))

    async def ListProfiles(  # noqa: N802 - gRPC name
        self, request: stats_api.ListProfilesRequest, _context: Context
    ) -> stats_api.ListProfilesResponse:
        """Lists the account's profiles."""
        found, rest = await self._profiles.page(account().account_id, request.page_size, request.page_token)
        withheld = await self._profiles.withheld(account().account_id)
        return stats_api.ListProfilesResponse(
            profiles=map(messages.profile, found), next_page_token=rest, withheld_count=withheld
        )

    async def ListMedia(  # noqa: N802 - gRPC name
        self, request: stats_api.ListMediaRequest, _context: Context
    ) -> stats_api.ListMediaResponse:
        """Lists a profile's media."""
        page = (request.page_size, request.page_token)
        found, rest = await self._profiles.media(account().account_id, request.profile, *page)
        return stats_api.ListMediaResponse(media=map(messages.media, found), next_page_token=rest)

    async def QueryTimeSeries(  # noqa: N802 - gRPC name
        self, request: stats_api.QueryTimeSeriesRequest, _context: Context
    ) -> stats_api.QueryTimeSeriesResponse:
        """Reads daily values."""
        span = (request.start_day, request.end_day)
        found = await self._series.query(account().account_id, request.profile, request.metrics, *span)
        return stats_api.QueryTimeSeriesResponse(series=map(messages.series, found))

    async def ListAudience(  # noqa: N802 - gRPC name
        self, request: stats_api.ListAudienceRequest, _context: Context
    ) -> stats_api.ListAudienceResponse:
        """Reads the newest audience."""
        found = await self._profiles.audience(account().account_id, request.profile)
        return stats_api.ListAudienceResponse(slices=map(messages.audience_slice, found))


class ConnectionServicer(ConnectionServiceServicer):
    """Connections of profiles to an account."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def CreateConnection(  # noqa: N802 - gRPC name
        self, request: connection_api.CreateConnectionRequest, _context: Context
    ) -> connection_api.CreateConnectionResponse:
        """Connects a profile."""
        made = await self._connections.create(account().account_id, request.access_token)
        return connection_api.CreateConnectionResponse(connection=messages.connection(made))

    async def ListConnections(  # noqa: N802 - gRPC name
        self, request: connection_api.ListConnectionsRequest, _context: Context
    ) -> connection_api.ListConnectionsResponse:
        """Lists the account's connections."""
        found, rest = await self._connections.page(account().account_id, request.page_size, request.page_token)
        listed = map(messages.connection, found)
        return connection_api.ListConnectionsResponse(connections=listed, next_page_token=rest)

    async def GetConnection(  # noqa: N802 - gRPC name
        self, request: connection_api.GetConnectionRequest, _context: Context
    ) -> connection_api.GetConnectionResponse:
        """Reads a connection."""
        found = await self._connections.get(account().account_id, request.connection_id)
        return connection_api.GetConnectionResponse(connection=messages.connection(found))

    async def SyncConnection(  # noqa: N802 - gRPC name
        self, request: connection_api.SyncConnectionRequest, _context: Context
    ) -> connection_api.SyncConnectionResponse:
        """Asks for a synchronisation."""
        found = await self._connections.request_sync(account().account_id, request.connection_id)
        return connection_api.SyncConnectionResponse(connection=messages.connection(found))

    async def DeleteConnection(  # noqa: N802 - gRPC name
        self, request: connection_api.DeleteConnectionRequest, _context: Context
    ) -> connection_api.DeleteConnectionResponse:
        """Ends a connection."""
        await self._connections.delete(account().account_id, request.connection_id)
        return connection_api.DeleteConnectionResponse()
