"""What a customer may want of the catalogue: what a task predicts, or what the customer uses most."""

from pathlib import Path
from typing import Any, Final

from schemas.portrait import Answer, Preference, Preferences, Product, Turnover
from schemas.spec import Spec
from stream_app.offline.folder import COLUMNS, PRODUCTS, conform, read_parquet
from stream_app.portrait.money import of_late, recent_days

MOST_TYPES: Final = 3
MOST_PRODUCTS: Final = 3
"""Products of a type that a portrait names."""
NOTHING: Final = "none"
"""The class of those who take no product."""
_PREFERENCE: Final = "preference"

Catalogue = tuple[Product, ...]


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue of products (``products.parquet`` of an interchange folder, or any such file).

    A product without an id or a type is left out; one without a name is named by its id.

    Raises:
        InputError: the file is missing, is no Parquet or has wrong columns.
    """
    table = conform(read_parquet(path), COLUMNS[PRODUCTS], str(path))
    return tuple(_product(line) for line in table.to_pylist() if line["product_id"] and line["type"])


def preferences(
    spec: Spec, tasks: dict[str, Answer], turnover: tuple[Turnover, ...], catalogue: Catalogue
) -> Preferences | None:
    """Return what the customer may want; None without a catalogue, or where nothing leads to its types.

    A task leads there whose classes are types of products, and that is asked for this customer: the one named
    ``preference``, else the one with most such classes. Without one, it is the customer's most used types of
    transactions, where these are types of products.
    """
    kinds = {product.type for product in catalogue}
    ranked = [
        (sum(kind in kinds for kind in _classes(task)), name == _PREFERENCE, name) for name, task in tasks.items()
    ]
    leading = max((item for item in ranked if item[0]), key=lambda item: (item[1], item[0]), default=None)
    if leading is not None:
        return _by_score(leading[2], tasks[leading[2]], catalogue)
    days = recent_days(spec.decay_days)
    used = [(of_late(item, days).amount, item.type) for item in turnover if item.type in kinds]
    ranking = tuple(
        Preference(type=kind, because="use", amount=amount, products=_of_type(kind, catalogue))
        for amount, kind in used[:MOST_TYPES]
        if amount > 0
    )
    return Preferences(ranking=ranking) if ranking else None


def _by_score(name: str, task: Answer, catalogue: Catalogue) -> Preferences:
    probabilities = task.score.probabilities or {}
    kinds = {product.type for product in catalogue}
    likely = sorted(
        ((share, kind) for kind, share in probabilities.items() if kind in kinds), key=lambda pair: -pair[0]
    )
    return Preferences(
        ranking=tuple(
            Preference(type=kind, because="score", probability=share, products=_of_type(kind, catalogue))
            for share, kind in likely[:MOST_TYPES]
        ),
        task=name,
        horizon_days=task.horizon_days,
        nothing=probabilities.get(NOTHING),
    )


def _classes(task: Answer) -> tuple[str, ...]:
    return tuple(task.score.probabilities or ())


def _of_type(kind: str, catalogue: Catalogue) -> tuple[Product, ...]:
    return tuple(product for product in catalogue if product.type == kind)[:MOST_PRODUCTS]


def _product(line: dict[str, Any]) -> Product:
    price = line["price"]
    known = price is not None and price == price  # noqa: PLR0124  (NaN)
    return Product(
        product_id=line["product_id"],
        name=line["name"] or line["product_id"],
        type=line["type"],
        price=price if known else None,
    )
