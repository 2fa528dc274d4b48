"""The persons at our customers, for privacy: to whom notices go, and whether stated facts are theirs."""
