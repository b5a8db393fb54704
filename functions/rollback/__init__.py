"""rollback: the last good version, exactly once."""
