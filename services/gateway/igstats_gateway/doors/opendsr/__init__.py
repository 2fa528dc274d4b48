"""OpenDSR 2.0 and its first version OpenGDPR: controllers bring requests, our answers and callbacks are signed.

https://github.com/opengdpr/OpenDSR; sections below are those of its specification.
"""
