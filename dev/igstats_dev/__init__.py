"""The igstats stack on a laptop."""
