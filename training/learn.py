"""From an interchange folder to a bundle: the steps of `foretell train`, in their order."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app import bundle
from stream_app.bundle import MODEL, REASONS, Bundle, Manifest, outputs_of
from stream_app.offline.folder import Folder
from stream_app.steps.predict import Predictor
from training.arrays import Flags, Floats, Singles
from training.bands import features_of_all, populations, quantiles, resolve
from training.drift import drift
from training.evaluate import Exam, answer, evaluate
from training.oracle import Oracle
from training.prepare import Options, Prepared, prepare
from training.provenance import fingerprint, versions
from training.quiet import quiet
from training.report.card import card
from training.report.census import Census
from training.report.page import html
from training.report.story import Story
from training.segments import protected, segments
from training.trees import Parameters, grow

REPORT: Final = "report.html"
CARD: Final = "model_card.md"
_OF_REPORT: Final[Parameters] = {"learning_rate": 0.05}
"""Fewer trees than in the benchmark, which has hours."""


@dataclass(frozen=True)
class Learned:
    """A bundle that was written, and its report as HTML."""

    bundle: Bundle
    report: bytes


def learn(
    folder: Folder,
    spec: Spec,
    out: Path,
    options: Options,
    progress: Progress = SILENT,
    samples: Path | None = None,
) -> Learned:
    """Train a network on a folder and write it as a bundle.

    Args:
        folder: the event log.
        spec: types, features and tasks.
        out: where to write the bundle, whole or not at all.
        options: how to train.
        progress: told of each phase.
        samples: where to write the samples as Parquet; default: nowhere.

    Raises:
        InputError: the log or an outcome cannot be used.
        TrainingError: nothing can be learned, or the exported network is not exactly the trained one.
        OutputError: ``out`` cannot be written.
    """
    prepared = prepare(folder, spec, options, progress)
    if samples is not None:
        from training.frame import write  # noqa: PLC0415  (loads pandas)

        write(prepared, samples)
    oracle = Oracle.beside(folder.path)
    with quiet():
        from training.trainer import train  # noqa: PLC0415  (loads TensorFlow, after all that can be refused without)

    trained = train(prepared, options, progress)
    progress.step("measuring", 0, 1)
    scores = _scores(trained.model, prepared)
    trees = partial(_trees, prepared, options.seed) if options.teachers else None
    features, layout = prepared.samples.features, prepared.layout
    exam = Exam(
        spec,
        prepared.log,
        prepared.samples,
        prepared.split,
        scores,
        trained.inputs,
        oracle,
        trees,
        options.seed,
        segments(features, layout),
        protected(features, layout),
    )
    sheets = answer(exam)
    people = populations(spec, prepared.samples, scores)
    manifest = Manifest(
        spec=spec,
        layout=prepared.layout.hash,
        feature_width=prepared.layout.feature_width,
        outputs=outputs_of(spec),
        bands={task.name: resolve(task, people[task.name]) for task in spec.tasks if task.bands},
        calibration={name: calibration.told() for name, calibration in trained.calibrations.items()},
        quantiles={name: quantiles(found) for name, found in people.items()},
        population=features_of_all(prepared.layout, prepared.samples),
        data=fingerprint(folder.path, prepared.log)
        | _rows(prepared, options)
        | {"teachers": trained.teachers}
        | {"drift": drift(prepared, scores)},
        metrics=evaluate(sheets),
        parity=trained.parity,
        versions=versions(),
    )
    census = Census.of(spec, prepared.log, prepared.samples, prepared.split)
    report = html(Story(manifest, trained.history, sheets, census))
    progress.step("measuring", 1, 1)
    files = {MODEL: trained.model, REASONS: trained.reasons, REPORT: report, CARD: card(manifest)}
    return Learned(bundle.write(out, manifest, files), report)


def _scores(model: bytes, prepared: Prepared) -> Singles:
    """Return the exported network's scores of all rows: what is measured is what will be served."""
    last = outputs_of(prepared.spec)[-1]
    return Predictor(model, prepared.layout.feature_width, last.start + last.width)(prepared.samples.features)


def _trees(prepared: Prepared, seed: int, index: int, answered: Flags) -> Floats:
    """Return what LightGBM with its usual parameters answers, which is what the report holds the network against."""
    return grow(prepared, index, _OF_REPORT, answered, seed)


def _rows(prepared: Prepared, options: Options) -> dict[str, object]:
    parts = {name: getattr(prepared.split, name) for name in ("train", "validation", "calibration", "test")}
    labels = {
        task.name: {name: int(mask[:, index].sum()) for name, mask in parts.items()}
        for index, task in enumerate(prepared.spec.tasks)
    }
    how = {"split": options.split, "seed": options.seed, "recipe": asdict(options.recipe)}
    return {"rows": len(prepared.samples), "labels": labels} | how
