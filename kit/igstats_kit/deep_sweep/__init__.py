"""The deep sweep: searches what the SWEEP phase cannot, an hour after an erasure and when its backups are gone."""
