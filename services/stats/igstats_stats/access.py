"""Who may call what. Everything without a row is refused."""

from igstats_kit.access import Access, AccessTable

_GATEWAY = Access(frozenset({"gateway"}))
_PRIVACY = Access(frozenset({"privacy"}))

_PUBLIC = {
    "igstats.api.v1.StatsService": ("GetProfile", "ListProfiles", "ListMedia", "QueryTimeSeries", "ListAudience"),
    "igstats.api.v1.ConnectionService": (
        *("CreateConnection", "ListConnections", "GetConnection", "SyncConnection", "DeleteConnection"),
    ),
}

ACCESS: AccessTable = {
    **{f"/{service}/{method}": _GATEWAY for service, methods in _PUBLIC.items() for method in methods},
    "/igstats.stats.v1.SubjectService/ResolveSubjects": _PRIVACY,
    "/igstats.stats.v1.SubjectService/EndConnections": _GATEWAY,
}
