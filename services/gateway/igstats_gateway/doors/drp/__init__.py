"""Data Rights Protocol 1.0: authorised agents bring requests, signed with Ed25519.

https://github.com/consumer-reports-innovation-lab/data-rights-protocol; sections below are those of its specification.
"""
