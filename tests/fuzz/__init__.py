"""Mutated records, through the codec and the whole pipeline: none crashes it, harms another or comes out wrong."""
