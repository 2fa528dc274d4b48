"""Shared runtime of the igstats services."""
