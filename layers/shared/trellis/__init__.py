"""What the three functions share: events, ledger, ARNs, settings, errors, the bus and the log."""
