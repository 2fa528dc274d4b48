"""Ketch's forwarder, dsr/v1: the suite posts a person's request, we answer and report its status.

https://github.com/ketch-com/ketch-forwarder
"""
