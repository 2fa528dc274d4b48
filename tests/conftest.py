"""What every test shares: properties try the same examples in every run, and no example has to be quick.

`--hypothesis-profile=default` tries others; see CONTRIBUTING.md.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
