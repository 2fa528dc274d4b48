"""Who may call what. Everything without a row is refused."""

from collections.abc import Collection

from igstats_kit.access import Access, AccessTable

_GATEWAY = Access(frozenset({"gateway"}))
_OPERATOR = Access(frozenset({"operator"}))
_OFFICE = Access(frozenset({"gateway", "operator"}))

_PUBLIC = (
    *("CreateRequest", "GetRequest", "ListRequests", "WatchRequest"),
    *("WithdrawRequest", "GetEvidence", "GetEvidenceArchive", "GetExport", "ListNotices"),
)
_OFFICERS = (
    *("GetRequest", "ListRequests", "ConfirmIdentity", "RetryTask", "WithdrawRequest"),
    *("ListHolders", "SetHolderEnabled", "DescribeProcessing", "OpenExcerpt", "ReadExcerpt"),
)
_DOORS = ("GetStatus", "WithdrawByCode", "DescribeCategories", "ReadEvidence")
_DECISIONS = (
    *("PreviewRequest", "GetPreview", "ApproveRequest", "DenyRequest", "ExtendRequest"),
    *("PlaceHold", "ReleaseHold", "ListHolds"),
)
_PROOFS = ("SendCode", "SubmitCode", "MatchPoints", "StartLogin", "FinishLogin", "ProveAccount")
_RECORDS = (*("ListLedger", "GetMetrics", "ExportRegister", "OpenBreach", "AmendBreach", "ListBreaches", "ListAlerts"),)
_HOLDERS = ("RegisterHolder", "LeaseTasks", "UploadExport", "ListErasures")


def access(holders: Collection[str]) -> AccessTable:
    """The table; `holders` are the services that may hold data, by certificate name."""
    holding = Access(frozenset(holders))
    return {
        **{f"/igstats.api.v1.RequestService/{method}": _GATEWAY for method in _PUBLIC},
        "/igstats.privacy.v1.PrivacyService/OpenRequest": _OFFICE,
        **{f"/igstats.privacy.v1.PrivacyService/{method}": _OPERATOR for method in _OFFICERS},
        **{f"/igstats.privacy.v1.StatusService/{method}": _OFFICE for method in _DOORS},
        "/igstats.privacy.v1.StatusService/GetOptOut": _OPERATOR,
        "/igstats.privacy.v1.StatusService/ReadPackage": _GATEWAY,
        **{f"/igstats.privacy.v1.DecisionService/{method}": _OPERATOR for method in _DECISIONS},
        **{f"/igstats.privacy.v1.IdentityService/{method}": _GATEWAY for method in _PROOFS},
        "/igstats.privacy.v1.IdentityService/ListProofs": _OPERATOR,
        **{f"/igstats.privacy.v1.RecordService/{method}": _OPERATOR for method in _RECORDS},
        **{f"/igstats.holder.v1.HolderTasksService/{method}": holding for method in _HOLDERS},
    }


ACCESS: AccessTable = access(("gateway", "stats", "privacy", "audit"))
