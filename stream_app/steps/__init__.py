"""The steps that a chunk goes through, each a function of its arguments."""
