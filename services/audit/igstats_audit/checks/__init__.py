"""The checks of a security audit: each a pure rule over plain facts, beside what gathers the facts.

A check that cannot look says so and never passes; docs/security-audits.md lists them all.
"""
