"""Data Deletion Request Framework 1.0 of the IAB Tech Lab: nested JWTs ask for a deletion, a JWT acknowledges.

https://github.com/InteractiveAdvertisingBureau/Data-Subject-Rights
"""
