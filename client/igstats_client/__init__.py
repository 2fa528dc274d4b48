"""Client library and command of igstats."""
