"""Decisions of officers: previews, approvals, refusals, extensions, holds."""
