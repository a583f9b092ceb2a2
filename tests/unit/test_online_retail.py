"""Online Retail: a shop made here, as published; the 2,000 lines in the tree; and all lines, where they are."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from schemas.progress import SILENT
from stream_app.offline.folder import Folder, read_folder
from tests.workbooks import write_workbook
from training.arrays import DAY_MS
from training.datasets import online_retail
from training.datasets.online_retail import OnlineRetail
from training.datasets.online_retail_categories import Purchases, cluster, nearest
from training.prepare import Options, Prepared, prepare
from training.rows import TICK

SAMPLE = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"
NAMES = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
TEST_FROM = datetime(2011, 9, 11)  # noqa: DTZ001  (of the shop)
TEST_FROM_MS = 1_315_699_200_000

Line = tuple[str, str, str, float, datetime, float, str, str]


def line(invoice: str, article: str, when: datetime, *, customer: str = "1", **more: float | str) -> Line:
    given = {"quantity": 1.0, "price": 2.0, "description": "", "country": "United Kingdom", **more}
    return (
        invoice,
        article,
        str(given["description"]),
        float(given["quantity"]),
        when,
        float(given["price"]),
        customer,
        str(given["country"]),
    )


def at(month: int, day: int, hour: int = 12, minute: int = 0, year: int = 2011) -> datetime:
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001  (of the shop)


def stock(until: datetime = TEST_FROM) -> list[Line]:
    """Return purchases that make six categories: articles 10000 to 10002, 11000 to 11002 … are bought together.

    The first group sells best, then the second, and so on; each is bought in five baskets.
    """
    lines = []
    for group in range(6):
        for time in range(5):
            when = until - timedelta(days=10 + 7 * time, hours=group)
            for article in range(3):
                code, price = f"{10_000 + 1000 * group + article}", 20.0 - group
                lines.append(line(f"5{group}{time}", code, when, customer=f"9{group}{time}", price=price))
    return lines


def published(folder: Path, lines: Sequence[Line], name: str = "retail.csv", time: str = "%Y-%m-%d %H:%M:%S") -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([NAMES, *((*row[:4], row[4].strftime(time), *row[5:]) for row in lines)])
    return folder / name


def folder_of(source: Path, out: Path) -> Folder:
    OnlineRetail(source).write(out, SILENT)
    return read_folder(out)


def bought(folder: Folder, customer: str = "1") -> list[tuple[str, datetime, float, str]]:
    return [
        (row["transaction_id"], row["time"], row["amount"], row["type"])
        for row in folder.transactions.to_pylist()
        if row["customer_id"] == customer
    ]


def made(tmp_path: Path, *lines: Line) -> Folder:
    """Import the stock and some more lines."""
    return folder_of(published(tmp_path, [*stock(), *lines]), tmp_path / "d")


def utc(month: int, day: int, hour: int, minute: int = 0, year: int = 2011) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def test_an_invoice_is_a_transaction_of_the_category_with_the_largest_sum(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        line("1", "10000", at(2, 1), quantity=3, price=1.5),
        line("1", "12001", at(2, 1), quantity=2, price=2.5),
        line("1", "10002", at(2, 1), quantity=1, price=0.25),
    )

    assert bought(folder) == [("1", utc(2, 1, 12), -9.75, "category_3")]


def test_what_gives_money_back_is_a_return_whose_amount_reaches_the_customer(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        line("C1", "10000", at(2, 1), quantity=-3, price=1.5),
        line("2", "11000", at(2, 2), price=5),
        line("2", "10000", at(2, 2), quantity=-1, price=4),
        line("3", "11000", at(2, 3), quantity=0),
    )

    assert bought(folder) == [
        ("C1", utc(2, 1, 12), 4.5, "return"),
        ("2", utc(2, 2, 12), -1.0, "category_2"),
        ("3", utc(2, 3, 12), 0.0, "return"),
    ]


def test_invoices_of_one_customer_in_the_same_minute_are_one(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        line("1", "10000", at(2, 1, 9, 30)),
        line("2", "10000", at(2, 1, 9, 30)),
        line("3", "10000", at(2, 1, 9, 30), customer="2"),
        line("4", "10000", at(2, 1, 9, 31)),
    )

    assert bought(folder) == [("1", utc(2, 1, 9, 30), -4.0, "category_1"), ("4", utc(2, 1, 9, 31), -2.0, "category_1")]
    assert bought(folder, "2") == [("3", utc(2, 1, 9, 30), -2.0, "category_1")]


def test_an_invoice_whose_lines_stand_in_two_minutes_is_one_at_its_first_line(tmp_path: Path) -> None:
    folder = made(tmp_path, line("1", "10000", at(2, 1, 9, 31)), line("1", "10000", at(2, 1, 9, 30)))

    assert bought(folder) == [("1", utc(2, 1, 9, 30), -4.0, "category_1")]


def test_times_are_those_of_london(tmp_path: Path) -> None:
    folder = made(tmp_path, line("1", "10000", at(1, 31)), line("2", "10000", at(6, 30)))

    assert [time for _, time, _, _ in bought(folder)] == [utc(1, 31, 12), utc(6, 30, 11)]


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M", "%d/%m/%Y %H:%M", "%d-%m-%Y %H:%M", "%d.%m.%Y %H:%M"],
)
def test_copies_may_write_times_in_their_own_way(tmp_path: Path, form: str) -> None:
    plain = made(tmp_path, line("1", "10000", at(2, 1)))
    source = published(tmp_path / "copy", [*stock(), line("1", "10000", at(2, 1))], time=form)

    assert folder_of(source, tmp_path / "e").transactions == plain.transactions


def test_a_workbook_as_published_gives_the_same(tmp_path: Path) -> None:
    lines = [*stock(), line("C1", "85123A", at(7, 1, 8, 26), customer="17850", quantity=-2, price=2.55)]
    days = [(row[4] - datetime(1899, 12, 30)) / timedelta(days=1) for row in lines]  # noqa: DTZ001  (as above)
    cells = [
        [int(row[0]) if row[0].isdigit() else row[0], row[1], row[2] or None, row[3], day, row[5], int(row[6]), row[7]]
        for row, day in zip(lines, days, strict=True)
    ]
    book = write_workbook(tmp_path / "Online Retail.xlsx", [list(NAMES), *cells])

    of_book, of_text = folder_of(book, tmp_path / "d"), folder_of(published(tmp_path, lines), tmp_path / "e")

    assert of_book.transactions == of_text.transactions
    assert of_book.products == of_text.products
    assert ("C1", utc(7, 1, 7, 26), 5.1, "return") in bought(of_book, "17850")


def test_parquet_with_numbers_and_timestamps_gives_the_same(tmp_path: Path) -> None:
    source = published(tmp_path, [*stock(), line("1", "10000", at(2, 1))])
    pq.write_table(pa_csv.read_csv(source), tmp_path / "retail.parquet")

    of_parquet, of_text = folder_of(tmp_path / "retail.parquet", tmp_path / "d"), folder_of(source, tmp_path / "e")

    assert of_parquet.transactions == of_text.transactions


def test_lines_that_say_nothing_of_a_customer_and_an_article_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [
        line("1", "10000", at(2, 1)),
        line("2", "10000", at(2, 1), customer=""),
        line("1", "POST", at(2, 1)),
        line("1", "1000", at(2, 1)),
        line("1", "10000", at(2, 1, year=2012)),
        line("1", "10000", at(2, 1), quantity=float("inf")),
    ]

    imported = OnlineRetail(published(tmp_path, [*stock(), *lines])).read()

    assert imported.rows == 96
    assert imported.skipped == {
        "`CustomerID` is empty": 1,
        "`StockCode` does not begin with five digits": 2,
        "`Quantity` is not a number": 1,
        "`InvoiceDate` is no time from 2010-12-01 to before 2011-12-10": 1,
    }
    assert imported.tables.transactions.num_rows == 31


def test_a_customer_is_known_from_the_first_transaction_on_and_observed_to_the_end_of_the_last_day(
    tmp_path: Path,
) -> None:
    folder = made(
        tmp_path,
        line("2", "10000", at(7, 1, 13), country="EIRE"),
        line("1", "10000", at(7, 1, 12), country="Norway"),
        line("3", "10000", at(10, 3, 20)),
    )

    records = [row for row in folder.customers.to_pylist() if row["customer_id"] == "1"]

    assert records == [
        {"customer_id": "1", "time": utc(7, 1, 11), "observed_until": utc(10, 4, 0), "country": "elsewhere"}
    ]


def test_the_catalogue_tells_what_was_there_before_the_test_period(tmp_path: Path) -> None:
    lines = [
        line("1", "10000", at(2, 1), price=3, description="MUG"),
        line("2", "10000", at(2, 2), price=7, description="BIG MUG"),
        line("3", "10000", at(11, 2), price=99, quantity=1000, description="DEAR MUG"),
        line("4", "85123A", at(11, 2), price=5, description="LATE HEART"),
    ]
    plain = {row["product_id"]: row for row in made(tmp_path, *lines).products.to_pylist()}  # type: ignore[union-attr]

    assert list(plain)[:3] == ["10000", "10001", "10002"]  # what sold best first, by category
    assert plain["10000"] == {"product_id": "10000", "name": "MUG", "type": "category_1", "price": 20.0}
    assert plain["85123A"] == {"product_id": "85123A", "name": "LATE HEART", "type": "category_6", "price": 5.0}
    assert plain["11002"]["name"] == "11002"


def test_what_is_bought_together_is_a_category_and_the_best_sold_comes_first(tmp_path: Path) -> None:
    products = made(tmp_path).products

    assert products is not None
    assert {row["product_id"]: row["type"] for row in products.to_pylist()} == {
        f"{10_000 + 1000 * group + article}": f"category_{group + 1}" for group in range(6) for article in range(3)
    }


@pytest.mark.parametrize(
    ("article", "category"),
    [("10003", 1), ("10501", 1), ("10501X", 1), ("10502", 2), ("12001B", 3), ("00001", 1), ("99999", 6)],
)
def test_an_article_that_was_bought_too_rarely_is_where_the_nearest_code_is(
    tmp_path: Path, article: str, category: int
) -> None:
    folder = made(tmp_path, line("1", article, at(2, 1)), line("2", article, at(10, 1)))

    assert [kind for *_, kind in bought(folder)] == [f"category_{category}"] * 2


def shuffled_late(lines: Sequence[Line]) -> list[Line]:
    """Turn the test period upside down: who buys what with what, how much of it, for how much, and further articles."""
    early, late = ([row for row in lines if (row[4] < TEST_FROM) == before] for before in (True, False))
    articles = sorted({row[1] for row in lines})
    changed = [
        (f"{row[0]}9", articles[(7 * place) % len(articles)], "CHANGED", 40.0, row[4], 9.0, row[6], row[7])
        for place, row in enumerate(late)
        if place % 3
    ]
    fresh = [line(f"8{place}", f"{30_000 + place}", TEST_FROM + timedelta(days=1 + place % 80)) for place in range(300)]
    return [*early, *changed, *fresh, line("9", "10000", at(12, 9, 12))]


def sample_lines() -> list[Line]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return [
            line(
                row["InvoiceNo"],
                row["StockCode"],
                datetime.fromisoformat(row["InvoiceDate"]),
                customer=row["CustomerID"],
                quantity=float(row["Quantity"]),
                price=float(row["UnitPrice"]),
                country=row["Country"],
            )
            for row in csv.DictReader(file)
        ]


def categories(folder: Folder) -> dict[str, str]:
    assert folder.products is not None
    return {row["product_id"]: row["type"] for row in folder.products.to_pylist()}


def two_ends(tmp_path: Path) -> tuple[Folder, Folder]:
    """Import the sample, and the sample with another test period."""
    lines = sample_lines()
    return tuple(  # type: ignore[return-value]
        folder_of(published(tmp_path / name, some), tmp_path / name / "d")
        for name, some in (("plain", lines), ("changed", shuffled_late(lines)))
    )


def test_what_happens_in_the_test_period_changes_no_category_and_nothing_before(tmp_path: Path) -> None:
    first, second = two_ends(tmp_path)

    early = {row[1] for row in sample_lines() if row[4] < TEST_FROM and row[6]} & categories(first).keys()
    assert len(early) > 500
    assert {name: categories(first)[name] for name in early} == {name: categories(second)[name] for name in early}
    before = [
        [row for row in folder.transactions.to_pylist() if row["time"] < utc(9, 11, 0)] for folder in (first, second)
    ]
    assert len(before[0]) > 200
    assert before[0] == before[1]
    names = [{row["product_id"]: row for row in folder.products.to_pylist()} for folder in (first, second)]  # type: ignore[union-attr]
    assert [names[0][name] for name in sorted(early)] == [names[1][name] for name in sorted(early)]


def test_categories_that_looked_into_the_test_period_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_lines = property(lambda shop: np.ones(len(shop.lines.time_ms), np.bool_))
    monkeypatch.setattr(online_retail._Shop, "before", all_lines)  # noqa: SLF001  (the protection, switched off)

    first, second = two_ends(tmp_path)

    shared = categories(first).keys() & categories(second).keys()
    assert {name: categories(first)[name] for name in shared} != {name: categories(second)[name] for name in shared}


def test_what_happens_in_the_test_period_changes_no_training_sample(tmp_path: Path) -> None:
    learned = [learned_from(prepare(folder, folder.spec, Options(split="time"))) for folder in two_ends(tmp_path)]

    assert len(learned[0]) > 200
    assert learned[0] == learned[1]


def learned_from(prepared: Prepared) -> dict[tuple[str, int, int], tuple[bytes, bytes, bytes]]:
    """Return features, labels and purposes of all rows that are not test rows."""
    samples, parts = prepared.samples, prepared.split
    early = np.stack([parts.train, parts.validation, parts.calibration])
    return {
        (str(prepared.log.customers[rows.customer[row]]), int(rows.time_ms[row]), int(rows.kind[row])): (
            samples.features[row].tobytes(),
            (samples.labels.value[row] * early[:, row].any(axis=0)).tobytes(),
            early[:, row].tobytes(),
        )
        for rows in (samples.rows,)
        for row in np.flatnonzero(early.any(axis=(0, 2)))
    }


def test_the_same_purchases_give_the_same_categories_in_any_order() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 6, 400)
    article = np.concatenate([6 * rng.integers(0, 20, 12) + one for one in group])
    basket = np.repeat(np.arange(400), 12)
    noise = rng.integers(0, 120, 600), rng.integers(0, 400, 600)
    article, basket = np.r_[article, noise[0]], np.r_[basket, noise[1]]
    order = rng.permutation(len(article))

    found = [cluster(Purchases.of(article[way], basket[way], 120), 6) for way in (slice(None), order)]

    assert np.array_equal(found[0], found[1])
    assert [len(set(found[0][one::6].tolist())) for one in range(6)] == [1] * 6
    assert len(set(found[0].tolist())) == 6


def test_without_enough_articles_there_are_no_categories() -> None:
    assert cluster(Purchases.of(np.repeat([0, 1], 5), np.tile(np.arange(5), 2), 4), 6).tolist() == [-1] * 4
    assert cluster(Purchases.of(np.array([], np.int64), np.array([], np.int64), 2), 6).tolist() == [-1, -1]


def test_of_two_as_near_numbers_the_lower_one_counts_and_of_equal_ones_the_first() -> None:
    found = nearest(np.array([1, 10, 12, 14, 15, 16, 99]), np.array([10, 10, 14, 18, 18]), np.array([1, 2, 3, 4, 5]))

    assert found.tolist() == [1, 1, 1, 3, 3, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: lines[:24],
            r"at least 6 articles that were bought 5 times before the test period in .*, found fewer",
        ),
        (lambda lines: [(*row[:6], "", row[7]) for row in lines], r"a usable line in .*retail.csv, found none of 90"),
        (lambda _: [], r"rows in .*retail.csv, found only the names of columns"),
    ],
)
def test_a_file_without_enough_in_it_is_refused_and_nothing_is_left(
    tmp_path: Path, change: Callable[[list[Line]], list[Line]], message: str
) -> None:
    source = published(tmp_path, change(stock()))

    with pytest.raises(InputError, match=rf"^Expected {message}.*; get Online Retail from the UCI .*\.$"):
        OnlineRetail(source).write(tmp_path / "d", SILENT)
    assert not (tmp_path / "d").exists()


@pytest.fixture(scope="module")
def real(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return folder_of(data_dir("online_retail") / "lines.parquet", tmp_path_factory.mktemp("retail") / "d")


@pytest.mark.slow
def test_the_real_log_is_whole(real: Folder) -> None:
    kinds = Counter(real.transactions["type"].to_pylist())

    assert real.transactions.num_rows == 21_622
    assert real.customers.num_rows == 4_363
    assert kinds["return"] == 3_370
    assert set(kinds) == {item.name for item in real.spec.types} - {"other"}
    assert min(kinds.values()) > 1_500


@pytest.mark.slow
def test_the_real_tasks_have_the_known_rows_and_shares(real: Folder) -> None:
    prepared = prepare(real, real.spec, Options(split="time"))
    samples, parts = prepared.samples, prepared.split
    tested = {task.name: parts.test[:, index] for index, task in enumerate(prepared.spec.tasks)}

    assert parts.cut_ms == TEST_FROM_MS
    assert tested["churn"].sum() == tested["value"].sum() == 3_368
    assert round(float(samples.labels.value[tested["churn"], 0].mean()), 4) == 0.4302
    assert set(samples.rows.time_ms[tested["churn"]].tolist()) == {TEST_FROM_MS}
    assert tested["preference"].sum() == 3_368 - samples.labels.value[tested["churn"], 0].sum()
    early = samples.rows.time_ms[(parts.train | parts.validation | parts.calibration)[:, :3].any(axis=1)]
    cuts = [(TEST_FROM_MS - int(time)) / DAY_MS for time in np.unique(early)]
    assert cuts == [180, 150, 120, 90]
    assert (samples.rows.kind[tested["next_behaviour"]] != TICK).all()
    assert 4_000 < tested["next_behaviour"].sum() < 6_000
