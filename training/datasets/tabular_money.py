"""Reads amounts: from one column or the product of several, from debit and credit, or with a column that says which."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import InputError
from stream_app.offline.folder import NUMBER
from training.datasets.tabular_arrays import flags
from training.datasets.tabular_values import Reading

_PRODUCT: Final = "*"


@dataclass(frozen=True)
class MoneyColumns:
    """Where amounts stand, and which of them leave the customer.

    Attributes:
        amount: a column or a product of columns, "Quantity*UnitPrice"; None for the column mapped to ``amount``.
        debit: the column of what leaves the customer, instead.
        credit: the column of what reaches the customer, instead.
        debit_if: a column and its values that say that the amount leaves the customer; signs are then ignored.
        negate: turn the sign: what the file's customers spend is positive.
    """

    amount: str | None = None
    debit: str | None = None
    credit: str | None = None
    debit_if: tuple[str, frozenset[str]] | None = None
    negate: bool = False

    def check(self, *, mapped: bool) -> None:
        """Refuse ways to say the amount that contradict each other.

        Args:
            mapped: whether a column is mapped to ``amount``.

        Raises:
            InputError: there are two.
        """
        ways = {
            "--map amount": mapped,
            "--amount": self.amount is not None,
            "--debit and --credit": self.debit is not None or self.credit is not None,
        }
        given = [name for name, there in ways.items() if there]
        if "--debit and --credit" in given and self.debit_if:
            given.append("--debit-if")
        if len(given) > 1:
            message = f"Expected one way to say the amount, found {' beside '.join(given)}; drop one of them."
            raise InputError(message)


def read_amounts(reading: Reading, money: MoneyColumns, mapped: str) -> pa.Array:
    """Return the amounts, float64, negative where money leaves the customer.

    Args:
        reading: of the file.
        money: where they stand.
        mapped: the column that is mapped to ``amount``.

    Raises:
        InputError: there is no such column.
    """
    in_two = money.debit or money.credit
    amount = _two_columns(reading, money) if in_two else _product(reading, money.amount or mapped)
    if money.debit_if:
        column, values = money.debit_if
        said = reading.texts(column, "--debit-if COLUMN=VALUE")
        leaves = pc.is_in(said, pa.array(sorted(values)))
        amount = pc.if_else(leaves, pc.negate(pc.abs(amount)), pc.abs(amount))
    return pc.negate(amount) if money.negate else amount


def _product(reading: Reading, source: str) -> pa.Array:
    whole = source in reading.rows.table.column_names
    factors = [source] if whole else [part.strip() for part in source.split(_PRODUCT)]
    product = reading.numbers(factors[0], "amount")
    for factor in factors[1:]:
        product = pc.multiply(product, reading.numbers(factor, "amount"))
    return product


def _two_columns(reading: Reading, money: MoneyColumns) -> pa.Array:
    sides = [
        reading.numbers(column, f"{option} COLUMN", needed=False) if column else None
        for column, option in ((money.debit, "--debit"), (money.credit, "--credit"))
    ]
    nothing = pa.nulls(reading.rows.table.num_rows, NUMBER)
    debit, credit = (nothing if side is None else pc.abs(side) for side in sides)
    named = " and ".join(f"`{column}`" for column in (money.debit, money.credit) if column)
    reading.refuse_where(flags(pc.and_(debit.is_null(), credit.is_null())), f"{named} empty")
    return pc.subtract(pc.fill_null(credit, 0.0), pc.fill_null(debit, 0.0))
