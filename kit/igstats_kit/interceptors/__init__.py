"""Interceptors of every igstats server, in the order that `server` declares."""
