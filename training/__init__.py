"""The offline half: event logs to samples, labels, one multi-task network and a bundle."""
