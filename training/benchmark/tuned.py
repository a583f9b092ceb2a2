"""What searches found for each set: the trees' parameters by task, and the network's recipe."""

import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Final

from training.recipe import TAUGHT, Recipe
from training.trees import Parameters

TUNED: Final = "tuned.json"
"""Beside this module: set → ``trees`` and ``recipe``, as `foretell benchmark SET --search` writes them."""


@dataclass(frozen=True)
class Tuned:
    """Parameters of each task's trees, and the network's recipe."""

    trees: dict[str, Parameters]
    recipe: Recipe = TAUGHT


def tuned(contest: str) -> Tuned:
    """Return what was found for a set; the usual where nothing was."""
    text = resources.files("training.benchmark").joinpath(TUNED).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text).get(contest, {})
    recipe = dict(found.get("recipe", {}))
    if "layers" in recipe:
        recipe["layers"] = tuple(recipe["layers"])
    return Tuned(found.get("trees", {}), replace(TAUGHT, **recipe))
