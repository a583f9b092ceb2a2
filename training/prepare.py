"""From a folder to labelled and split samples: everything before the network."""

from dataclasses import dataclass
from typing import Literal

from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.kernel.layout import Layout
from stream_app.kernel.rolling import Rolling
from stream_app.offline.folder import Folder
from training.events import read_log
from training.guard import refuse_leaks, require_labels
from training.log import Log
from training.matrix import BOUND
from training.recipe import QUICK, Recipe
from training.samples import Samples, draw, without_repeats
from training.split import Split, split


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        seed: of the sample of rows, the split and the network.
        split: by customer or by time.
        recipe: how the network is trained.
        allowed_leaks: features that may alone tell a label.
        teachers: whether trees are grown for the network to learn from.
        memory: bytes of features that are kept in memory; more are in a temporary file.
    """

    seed: int = 1
    split: Literal["customer", "time"] = "customer"
    recipe: Recipe = QUICK
    allowed_leaks: tuple[str, ...] = ()
    teachers: bool = False
    memory: int = BOUND


@dataclass(frozen=True)
class Prepared:
    """What a network is trained on."""

    spec: Spec
    layout: Layout
    log: Log
    samples: Samples
    split: Split


def prepare(folder: Folder, spec: Spec, options: Options, progress: Progress = SILENT) -> Prepared:
    """Turn a folder into labelled samples and refuse what nothing can be learned from.

    Raises:
        SpecError: the spec names an unknown feature or its row is too large.
        InputError: the log or an outcome cannot be used.
        TrainingError: a task has no labels or only one, or an input alone tells a label.
    """
    prepared = sampled(folder, spec, options, progress)
    require_labels(prepared.samples, prepared.split, spec)
    refuse_leaks(prepared.samples, prepared.split, prepared.layout, options.allowed_leaks)
    return prepared


def sampled(folder: Folder, spec: Spec, options: Options, progress: Progress = SILENT) -> Prepared:
    """Turn a folder into labelled samples, whatever can be learned from them.

    Raises:
        SpecError: the spec names an unknown feature or its row is too large.
        InputError: the log or an outcome cannot be used.
    """
    rolling = Rolling.of(spec)
    progress.step("reading", 0, 1)
    log = without_repeats(read_log(folder, spec), rolling)
    progress.step("reading", 1, 1, f"{len(log.transactions.kind):,} transactions")
    samples = draw(log, spec, options.seed, progress, options.memory)
    parts = split(samples, log, spec, options.split, options.seed)
    return Prepared(spec, rolling.layout, log, samples, parts)
