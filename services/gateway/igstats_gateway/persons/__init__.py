"""The persons at our customers, for privacy: where letters go, and whether stated facts are theirs."""
