"""Records that the law asks for: request ledger and metrics, register of processing, breaches, clocks."""
