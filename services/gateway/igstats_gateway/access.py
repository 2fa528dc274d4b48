"""Who may call from inside: the security audit, for facts of keys; privacy, for persons on file, planted ones too."""

from igstats_kit.access import Access, AccessTable

ACCESS: AccessTable = {
    "/igstats.gateway.v1.ContactService/CountMatches": Access(frozenset({"privacy"})),
    "/igstats.gateway.v1.ContactService/ListAddresses": Access(frozenset({"privacy"})),
    "/igstats.gateway.v1.ContactService/PlantCanary": Access(frozenset({"privacy"})),
    "/igstats.gateway.v1.InspectionService/ListKeyFacts": Access(frozenset({"audit"})),
}
