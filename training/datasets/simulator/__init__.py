"""A seeded bank simulator as a data set: customers with hidden states, their log, and the oracle that knows the states.

In the order of the data flow: `timeline` and `population` (who and when), `latent` (what nobody sees), `behaviour` and
`money` (what follows from it), `activity` and `life` (day after day), `tables` (what the bank writes down), `oracle`
(what can be known at a cut), `labels` and `metrics` (what came true), `foresight` (`oracle.parquet`).
"""

from training.datasets.simulator.bank import BankSimulator

__all__ = ["BankSimulator"]
