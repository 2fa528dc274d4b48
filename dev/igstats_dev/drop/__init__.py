"""California's DROP, emulated: deletion lists of made-up consumers, answers, and bad days on command."""
