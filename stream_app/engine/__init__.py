"""The engine: one partition's records in, scores out exactly once, rows in a store that follows the log."""
