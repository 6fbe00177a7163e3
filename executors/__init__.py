"""The plan of a run, the pools it runs on, the ledger of how it went."""
