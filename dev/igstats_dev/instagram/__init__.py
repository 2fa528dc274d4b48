"""An emulator of the Instagram Graph API: documented protocol, synthetic profiles, faults on command."""
