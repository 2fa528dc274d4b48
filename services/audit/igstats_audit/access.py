"""Who may call what."""

from igstats_kit.access import Access, AccessTable

_EVERYONE = Access(frozenset({"gateway", "stats", "privacy", "audit"}))
_PRIVACY = Access(frozenset({"privacy"}))

ACCESS: AccessTable = {
    "/igstats.audit.v1.AuditService/AppendEntries": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetEntry": _PRIVACY,
    "/igstats.audit.v1.AuditService/GetCheckpoint": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetInclusionProof": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetConsistencyProof": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetEvidence": _PRIVACY,
    "/igstats.audit.v1.AuditService/SearchCalls": Access(frozenset({"gateway"})),
}
