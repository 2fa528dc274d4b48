"""Planted canaries: a made-up person is put on file, erased and looked for, every day."""
