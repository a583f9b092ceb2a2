"""Runs `foretell benchmark`: make the data, let all models learn and answer, compare them."""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from schemas.atomic import atomic_file
from schemas.errors import EXIT_OK, InputError
from schemas.progress import SILENT, Progress
from stream_app.bundle import outputs_of
from stream_app.offline.folder import read_folder
from training.benchmark.cells import Cells
from training.benchmark.contest import CONTESTS, Contest, Part
from training.benchmark.curve import MODELS as OF_CURVE
from training.benchmark.curve import SHARES, Curve
from training.benchmark.parts import Ground
from training.benchmark.rivals import MODELS, SINGLE, UNTAUGHT, Field
from training.benchmark.search import Search, search_recipe, search_trees
from training.benchmark.table import Found, Table
from training.benchmark.tuned import Tuned, tuned
from training.provenance import basis
from training.quiet import quiet

TABLE: Final = "table.json"
TUNED: Final = "tuned.json"
EXIT_MISSED: Final = 1
_SIXTY: Final = 60.0


def run(args: argparse.Namespace) -> int:
    """Run a benchmark and print its table; return 0, or 1 where a line does not hold.

    Raises:
        InputError: the source is missing or cannot be used.
        OutputError: ``--out`` cannot be written.
    """
    contest, progress = CONTESTS[args.set], getattr(args, "progress", SILENT)
    if contest.needs_source and args.source is None:
        message = (
            f"Expected --source with the data of {args.set}, found none; `foretell data {args.set} --help` says where "
            "to get it."
        )
        raise InputError(message)
    args.out.mkdir(parents=True, exist_ok=True)
    with quiet():
        from training import trainer  # noqa: F401, PLC0415  (loads TensorFlow, which says much)
    bench = Bench(contest, Ground.of(contest, args.source or Path(), args.out, progress), args.out, progress)
    chosen = tuned(args.set)
    if args.search:
        chosen = bench.search(args.trials, args.minutes * _SIXTY)
    table = bench.table(chosen, quick=args.quick)
    curve = bench.curve(chosen) if args.curve else Curve([])
    with atomic_file(args.out / TABLE) as part:
        part.write_text(json.dumps(table.as_json() | {"curve": curve.as_json()}, indent=1), encoding="utf-8")
    print("\n".join([*table.told(), *(["", *curve.told()] if args.curve else [])]))  # noqa: T201  (a command prints)
    return EXIT_OK if table.holds else EXIT_MISSED


@dataclass(frozen=True)
class Bench:
    """A contest on its ground; what is computed is kept in ``out``."""

    contest: Contest
    ground: Ground
    out: Path
    progress: Progress

    def search(self, trials: int, seconds: float) -> Tuned:
        """Return parameters found on the first part, without its test rows; half of the time is the network's.

        They are written to ``tuned.json`` as well.
        """
        part = self.contest.parts(quick=True)[0]
        search = Search(self.out / "search.journal", trials, seconds / 2, self.progress)
        found = search_trees(self.ground.prepared(part), search)
        field = self._field(replace(part, later=part.fold is None), Tuned(found))
        recipe = search_recipe(field.prepared, field.taught, search)
        chosen = Tuned(found, recipe)
        with atomic_file(self.out / TUNED) as file:
            file.write_text(json.dumps(asdict(chosen), indent=1), encoding="utf-8")
        return chosen

    def table(self, chosen: Tuned, *, quick: bool) -> Table:
        """Let all models answer all parts; return the table."""
        found: Found = {}
        for model in MODELS:
            for part in self.contest.parts(quick=quick):
                if (quick and model == SINGLE) or (model in {SINGLE, UNTAUGHT} and not self.contest.counted(part)):
                    continue
                found.setdefault(model, {})[part] = self._cell(model, part, chosen)
        return Table.of(self.contest, found, self._kinds)

    def curve(self, chosen: Tuned) -> Curve:
        """Let models learn from fewer and fewer customers of the first part; return what they reach."""
        first = self.contest.parts(quick=True)[0]
        parts = [replace(first, share=share) for share in SHARES]
        found = {model: {part: self._cell(model, part, chosen) for part in parts} for model in OF_CURVE}
        return Curve.of(self.contest, found, self._kinds)

    def _cell(self, model: str, part: Part, chosen: Tuned) -> Any:  # noqa: ANN401
        field = self._field(part, chosen)
        self.progress.step("benchmark", 0, 1, f"{model}, {part.name}")
        cells = Cells(self.out / "cells", self._basis)
        return cells.get(model, part, field.how(model), lambda: field.answers(model))

    def _field(self, part: Part, chosen: Tuned) -> Field:
        teachers = self.out / "teachers" / self._basis
        return Field(lambda: self.ground.prepared(part), part, chosen, teachers, self.progress)

    @property
    def _kinds(self) -> dict[str, str]:
        return {output.task: output.learned_as for output in outputs_of(read_folder(self.ground.folder).spec)}

    @property
    def _basis(self) -> str:
        return basis(self.ground.folder)
