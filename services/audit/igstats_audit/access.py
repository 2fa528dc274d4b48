"""Who may call what."""

from igstats_kit.access import Access, AccessTable

_SERVICES = frozenset({"gateway", "stats", "privacy", "audit"})
_EVERYONE = Access(_SERVICES | {"operator"})
_PRODUCERS = Access(_SERVICES)
_PRIVACY = Access(frozenset({"privacy"}))
_READERS = Access(frozenset({"gateway", "operator"}))
_OFFICE = Access(frozenset({"operator"}))

ACCESS: AccessTable = {
    "/igstats.audit.v1.AuditService/AppendEntries": _PRODUCERS,
    "/igstats.audit.v1.AuditService/GetEntry": Access(frozenset({"privacy", "operator"})),
    "/igstats.audit.v1.AuditService/GetCheckpoint": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetInclusionProof": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetConsistencyProof": _EVERYONE,
    "/igstats.audit.v1.AuditService/GetEvidence": _PRIVACY,
    "/igstats.audit.v1.AuditService/GetEvidenceArchive": _PRIVACY,
    "/igstats.audit.v1.AuditService/GetLogFile": _EVERYONE,
    "/igstats.audit.v1.AuditService/SearchCalls": _READERS,
    "/igstats.audit.v1.AuditService/ExportCalls": _READERS,
    "/igstats.audit.v1.AuditService/ListFindings": _OFFICE,
    "/igstats.audit.v1.AuditService/RunSecurityAudit": _OFFICE,
    "/igstats.audit.v1.AuditService/ListSecurityAudits": _OFFICE,
    "/igstats.audit.v1.AuditService/GetSecurityAudit": _OFFICE,
}
