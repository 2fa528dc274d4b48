"""The doors by which persons' requests come in without an account's key: every one of them ends at the desk."""
