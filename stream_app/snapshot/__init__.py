"""Snapshots: a partition's rows and marker in a file, for the day on which the log no longer reaches back."""
