"""What the three functions share: events, ledger, ARNs, settings, errors, the bus and the log."""

import gc

# Python looks for garbage after every 2,000 new objects. A cold start makes 65,000, which stay:
# looking through them a dozen times is a twentieth of its CPU time. Here it is looked for rarely.
gc.set_threshold(100_000, 50, 50)
