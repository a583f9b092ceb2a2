"""The contests: a data set, how its test rows are set aside, and what the network must reach there beside LightGBM."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.datasets.berka import Berka
from training.datasets.online_retail import OnlineRetail
from training.datasets.port import DataSet
from training.datasets.simulator import BankSimulator
from training.datasets.taiwan import Taiwan
from training.split import FOLDS

SIMULATED_CUSTOMERS: Final = 400
_SEEDS: Final = 5


@dataclass(frozen=True)
class Part:
    """One way to set test rows aside, and one seed: of samples, sides, trees and network.

    Attributes:
        fold: of customers; None for the cut in time that the data's spec names.
        seed: of all that is drawn.
        later: there are no test rows; the last rows before the cut in time take their place in a search.
        share: of the customers who are not tested, those that are learned from.
    """

    fold: int | None
    seed: int
    later: bool = False
    share: float = 1.0

    @property
    def name(self) -> str:
        """Return what files of this part are called."""
        cut = "later" if self.later else "cut"
        name = f"{cut}-{self.seed}" if self.fold is None else f"fold{self.fold}-{self.seed}"
        return name if self.share == 1.0 else f"{name}-{self.share:g}"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        task: of the data's spec.
        measure: as ``Kind.measure`` names it.
        required: the least difference to LightGBM, + where the network is better; None: it is reported.
        aim: what would be better than required.
        level: what LightGBM must reach at least for the line to count; above it, for a log loss, nothing counts.
        absolute: what the network must reach whatever LightGBM does.
    """

    task: str
    measure: str
    required: float | None = None
    aim: float | None = None
    level: float | None = None
    absolute: float | None = None


@dataclass(frozen=True)
class Contest:
    """A data set and its rows of the table.

    Attributes:
        name: of the set.
        data: makes the data set of a source.
        rows: of the table.
        stratified_by: the binary task whose positive customers all folds have alike.
        folds: whether test rows are folds of customers rather than what comes after a cut in time.
        needs_source: whether it is read from files; what is simulated is not judged.
    """

    name: str
    data: Callable[[Path], DataSet]
    rows: tuple[Row, ...]
    stratified_by: str | None = None
    folds: bool = True
    needs_source: bool = True

    def parts(self, *, quick: bool) -> tuple[Part, ...]:
        """Return the parts: each fold with a seed of its own, and the first, or the cut, with several."""
        if quick:
            return (Part(0 if self.folds else None, 1),)
        if not self.folds:
            return tuple(Part(None, seed) for seed in range(1, _SEEDS + 1))
        first = tuple(Part(0, seed) for seed in range(1, _SEEDS + 1))
        return first + tuple(Part(fold, fold + 1) for fold in range(1, FOLDS))

    def counted(self, part: Part) -> bool:
        """Say if a part is one of those that the table's differences are the mean of; others tell seeds apart."""
        return part.fold is None or part.seed == part.fold + 1


CONTESTS: Final = {
    contest.name: contest
    for contest in (
        Contest(
            "taiwan",
            Taiwan,
            (
                Row("credit_risk", "roc_auc", -0.004, 0.0, level=0.777, absolute=0.780),
                Row("value", "spearman", -0.004, 0.0, level=0.726),
                Row("value_expected", "gini"),
                Row("next_behaviour", "log_loss", -0.004, 0.0, level=0.4363),
                Row("churn", "roc_auc"),
            ),
            stratified_by="credit_risk",
        ),
        Contest(
            "online-retail",
            OnlineRetail,
            (
                Row("churn", "roc_auc", -0.002, 0.002, level=0.736),
                Row("value", "spearman", 0.0, 0.005, level=0.527),
                Row("value_expected", "gini", -0.010, None, level=0.646),
                Row("preference", "log_loss", 0.0, None),
                Row("next_behaviour", "log_loss", -0.010, 0.0, level=1.717),
            ),
            folds=False,
        ),
        Contest(
            "berka",
            Berka,
            (
                Row("next_behaviour", "log_loss", -0.025, -0.010, level=0.506, absolute=0.55),
                Row("value", "spearman", -0.005, 0.0, level=0.889),
                Row("value_expected", "gini", -0.010, 0.0, level=0.877),
                Row("churn", "roc_auc", -0.012, 0.0, level=0.896),
                Row("preference", "log_loss", -0.025, 0.0, level=0.401),
                Row("credit_risk", "roc_auc"),
            ),
            stratified_by="credit_risk",
        ),
        Contest(
            "simulated",
            lambda source: BankSimulator(7, SIMULATED_CUSTOMERS, 12),  # noqa: ARG005  (it needs no source)
            (
                Row("churn", "roc_auc"),
                Row("credit_risk", "roc_auc"),
                Row("preference", "log_loss"),
                Row("next_behaviour", "log_loss"),
                Row("value", "spearman"),
            ),
            needs_source=False,
        ),
    )
}
"""By name. Levels and differences of the first three: those to which the project holds itself (README)."""
