"""A mail relay that keeps every letter: what would have gone to persons can be read here."""
