"""Test doubles and fixtures that ship with the kit."""
