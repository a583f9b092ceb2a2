"""A campaign of faults against real servers and workers, and the proof that nothing was lost, doubled or wrong."""
