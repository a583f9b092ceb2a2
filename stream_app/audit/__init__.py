"""The audit: some customers computed again from the log, and compared with what a live system holds and has told."""
