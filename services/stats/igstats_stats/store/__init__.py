"""The only SQL of stats: connections and leases, ingestion, reading. Every write about a person asks the fence."""
