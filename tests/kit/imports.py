"""Imports of small texts as `foretell data csv` would do them."""

from collections.abc import Mapping
from pathlib import Path

from training.datasets.tabular import Imported, TabularImport, TabularOptions

HEAD = "customer_id,time,amount,type\n"
"""The least that a file must have."""


def imported(tmp_path: Path, text: str, options: TabularOptions | None = None) -> Imported:
    """Import a text."""
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode((options or TabularOptions()).form.encoding))
    return TabularImport(path, options or TabularOptions()).read()


def column(result: Imported, name: str) -> list[object]:
    """Return a column of the transactions."""
    found: list[object] = result.tables.transactions[name].to_pylist()
    return found


def side_tables(tmp_path: Path, **texts: str) -> Mapping[str, Path]:
    """Write texts as files beside a log of one row, and return their places."""
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "log.csv").write_text(HEAD + "anna,2024-05-01,-1,cash\n", encoding="utf-8")
    return {name: tmp_path / f"{name}.csv" for name in texts}
