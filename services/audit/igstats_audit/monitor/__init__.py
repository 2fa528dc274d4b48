"""The monitor: checks from outside of the service that both logs are still what they were, and names what is not."""
