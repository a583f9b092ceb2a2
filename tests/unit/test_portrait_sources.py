"""A portrait's row comes from the store or from a log: it is the row that the stream would have."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest

from schemas.accepted import LATEST_MS
from schemas.errors import BundleError, InputError
from stream_app import settings as every_setting
from stream_app.bundle import Bundle
from stream_app.offline.folder import TIME, Folder
from stream_app.offline.log import CapturedLog, FolderLog, Log, open_log, partition_of
from stream_app.offline.replay import emissions
from stream_app.portrait import history as histories
from stream_app.portrait.history import end_ms, history
from stream_app.portrait.portrait import portrait
from stream_app.portrait.served import Served
from stream_app.portrait.sources import from_log, from_store, kept
from stream_app.shelf import Shelf
from stream_app.steps.decode import Vocabulary
from stream_app.store.memory import MemoryStores
from stream_app.store.port import Marker, StoreError
from stream_app.store.slices import slice_of
from tests.bundles import random_bundle
from tests.chunks import NOON, customer, tick, transaction
from tests.kit import every_kind
from tests.portraits import DAY_MS, at, filled
from tests.properties.test_replay import Row, captured, dense, made, row

T = TypeVar("T")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often, so that rows depend on scores too."""
    return made(tmp_path_factory.mktemp("bundles") / "first", score_on_customer=False)


def rows_in(log: Log, shelf: Shelf) -> dict[str, tuple[bytes, str]]:
    """Return each customer's row at the end of a log, and the bundle in force."""
    scorers = {chunk.partition: scorer for chunk, _, scorer in emissions(log, shelf)}
    return {
        name.decode(): (row.tobytes(), scorer.bundle.short)
        for scorer in scorers.values()
        for name, row in zip(scorer.residents.customers, scorer.residents.matrix, strict=False)
    }


# -- a log -------------------------------------------------------------------------------------------------------------


def agreeing(log: Log, shelf: Shelf) -> list[bool]:
    """Return for each customer of a log whether the customer's history alone gives the row."""
    vocabulary = Vocabulary(shelf.first.spec)
    return [
        rows_in(history(log, name, LATEST_MS, vocabulary), shelf)[name] == found
        for name, found in rows_in(log, shelf).items()
    ]


def test_a_customers_own_records_ticks_and_activates_are_enough_for_the_row(bundle: Bundle) -> None:
    assert all(agreeing(captured(dense(300, 3)), Shelf(bundle)))


def test_leaving_out_ticks_would_be_noticed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "_MAY_BE_CONTROL", ("nothing of the kind",))
    assert not all(agreeing(captured(dense(300, 3)), Shelf(bundle)))


def test_only_little_of_a_log_is_kept(bundle: Bundle) -> None:
    log = captured(dense(2_000, ticks=False))
    assert history(log, "c-1", LATEST_MS, Vocabulary(bundle.spec)).records < log.records / 6


def test_a_tick_that_spells_its_kind_in_escapes_counts(bundle: Bundle) -> None:
    at_tick = str(tick(slice_of(b"c"), at(40))).replace("'", '"').replace("tick", "\\u0074ick").encode()
    log = captured([row(transaction(time=at(0))), row(at_tick, key=None)])
    assert history(log, "c", LATEST_MS, Vocabulary(bundle.spec)).records == 2
    assert rows_in(log, Shelf(bundle)) != rows_in(captured([row(transaction(time=at(0)))]), Shelf(bundle))


def kept_of(bundle: Bundle, records: list[dict[str, Any]], day: float) -> int:
    return history(captured([row(record) for record in records]), "c", at(day), Vocabulary(bundle.spec)).records


def test_a_history_ends_before_the_first_record_that_is_later(bundle: Bundle) -> None:
    records = [transaction(transaction_id=f"t{k}", time=at(day)) for k, day in enumerate([0, 2, 1, 5, 3])]
    assert [kept_of(bundle, records, day) for day in (-1, 0, 1, 2, 4.9, 5)] == [0, 1, 1, 3, 3, 5]


def test_a_later_tick_or_customer_record_ends_it_too_and_a_refused_record_does_not(bundle: Bundle) -> None:
    first = transaction(time=at(0))
    late_tick, late_fact = tick(slice_of(b"c"), at(9)), customer(time=at(9), age=40)
    for later in (late_tick, late_fact):
        assert kept_of(bundle, [first, later, transaction(transaction_id="x", time=at(1))], 5) == 1
    refused = transaction(transaction_id="bad", time=at(9), currency="XXX")
    assert kept_of(bundle, [first, refused, transaction(transaction_id="x", time=at(1))], 5) == 3


def test_another_customers_clock_ends_nothing(bundle: Bundle) -> None:
    ahead = transaction(customer_id="other", time=at(300))
    assert kept_of(bundle, [transaction(time=at(0)), ahead, transaction(transaction_id="x", time=at(1))], 5) == 2


def test_a_customer_in_two_partitions_is_refused(bundle: Bundle) -> None:
    log = captured([row(transaction(), partition=0), row(transaction(transaction_id="x"), partition=1)])
    with pytest.raises(InputError, match="in one partition, found them in transactions-0, transactions-1; capture"):
        history(log, "c", LATEST_MS, Vocabulary(bundle.spec))


def folder_log(times: list[int | None], names: list[str]) -> FolderLog:
    """Return the log of an interchange folder with these transactions."""
    moved = {
        "transaction_id": [f"t{k}" for k in range(len(times))],
        "customer_id": names,
        "time": pa.array(times, pa.int64()).cast(TIME),
        "amount": [-5.0] * len(times),
        "type": ["groceries"] * len(times),
    }
    known = {"customer_id": ["c", "d"], "time": pa.array([at(0), at(1)]).cast(TIME), "age": [40.0, 50.0]}
    return FolderLog(Folder(Path("nowhere"), pa.table(moved), pa.table(known), None, None), 2)


def test_a_folder_gives_the_same_row_from_the_customers_records_alone(bundle: Bundle) -> None:
    log = folder_log([at(k / 3) for k in range(30)], ["c", "d", "e"] * 10)
    assert agreeing(log, Shelf(bundle)) == [True] * 3
    sizes = {name: history(log, name, LATEST_MS, Vocabulary(bundle.spec)).records for name in ("c", "e", "nobody")}
    assert sizes == {"c": 11, "e": 10, "nobody": 0}


def test_a_log_ends_with_its_latest_event_of_whatever_customer_that_is_no_nonsense(bundle: Bundle) -> None:
    vocabulary = Vocabulary(bundle.spec)
    assert end_ms(folder_log([at(0), at(7), None, LATEST_MS + 1], ["c", "d", "c", "c"]), "c", vocabulary) == at(7)
    assert end_ms(folder_log([at(0)], ["c"]), "c", vocabulary) == at(1)
    moved = [row(transaction(time=at(day), customer_id=f"c{day}")) for day in (3, 8, 1)]
    assert end_ms(captured(moved), "c", vocabulary) == at(8)
    assert end_ms(captured([*moved, row(tick(3, at(9)))]), "c", vocabulary) == at(9)
    untimed = [row(transaction(time=12)), row(b"{"), row({"kind": "forget", "customer_id": "c"})]
    assert end_ms(captured(untimed), "c", vocabulary) == 0


def test_where_the_data_stops_telling_of_a_customer_no_silence_is_counted(bundle: Bundle) -> None:
    log = folder_log([at(0), at(2), at(90)], ["c", "c", "d"])
    known = log.folder.customers.append_column("observed_until", pa.array([at(5), None], TIME))
    cut = FolderLog(replace(log.folder, customers=known), 2)
    vocabulary = Vocabulary(bundle.spec)
    assert [end_ms(cut, name, vocabulary) for name in ("c", "d", "nobody")] == [at(5), at(90), at(90)]
    assert from_log(cut, Shelf(bundle), "c").stage.silence_days == 3


def test_a_portrait_from_a_log_is_that_of_the_replayed_row(bundle: Bundle) -> None:
    log, shelf = captured(dense(300, 3)), Shelf(bundle)
    end = end_ms(log, "c-1", Vocabulary(bundle.spec))
    rows = rows_in(log, shelf)
    for name in ("c-1", "c-2", "c-7"):
        content, _ = rows[name]
        expected = portrait(name, np.frombuffer(content, np.float32), end, Served.of(Shelf(bundle), bundle))
        assert from_log(log, shelf, name) == expected
        assert from_log(log, shelf, name, end + DAY_MS) != expected


def test_the_bundle_that_the_log_has_activated_answers(bundle: Bundle) -> None:
    other = random_bundle(bundle.path.parent / "second", bundle.spec, seed=9)
    activate = {"kind": "activate", "bundle": other.sha256}
    log = captured([row(transaction()), row(activate, key=None)])
    assert from_log(log, Shelf(bundle), "c").bundle == other.short
    assert from_log(captured([row(transaction())]), Shelf(bundle), "c").bundle == bundle.short


def test_an_activate_of_another_layout_is_refused_as_a_replay_refuses_it(bundle: Bundle, tmp_path: Path) -> None:
    other = every_kind.bundle(tmp_path / "other", windows=(1, 3))
    log = captured([row(transaction()), row({"kind": "activate", "bundle": other.sha256}, key=None)])
    with pytest.raises(BundleError, match="state layout"):
        from_log(log, Shelf(bundle, tmp_path), "c")


def test_who_is_not_in_the_log_by_then_is_unknown(bundle: Bundle) -> None:
    log = captured([row(transaction(time=at(3)))])
    for name, day in (("c", 2.9), ("nobody", 50)):
        with pytest.raises(InputError, match="Expected a customer of whom the log knows something") as refused:
            from_log(log, Shelf(bundle), name, at(day))
        assert name not in str(refused.value).split()
    assert from_log(log, Shelf(bundle), "c", at(3)).frequency.value == 1


# -- a store -----------------------------------------------------------------------------------------------------------

GIVEN = every_setting.load({}, {})
PARTITIONS = 3


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(work())


def by_key(count: int) -> CapturedLog:
    """Return a log whose records stand where their keys belong."""
    records = [(key, value) for key, value in every_kind.records(count, customers=30) if key]
    found: list[Row] = [(partition_of(key, PARTITIONS), key, value, None) for key, value in records]
    return captured(found)


def test_a_row_is_found_in_its_partition_and_nothing_is_taken_over(bundle: Bundle) -> None:
    log, shelf = by_key(600), Shelf(bundle)

    async def look() -> None:
        stores = await filled(bundle, log, PARTITIONS)
        before = {
            name: dict(stores.partition(name).markers) for name in ((GIVEN.transactions_topic, k) for k in range(3))
        }
        known = {name: content for name, (content, _) in rows_in(log, shelf).items() if any(content)}
        for name, content in known.items():
            found, force = await kept(stores, GIVEN, shelf, name)
            assert (found.tobytes(), force) == (content, bundle)
        assert len(known) > 20
        assert before == {name: stores.partition(name).markers for name in before}

    run(look)


def refusal(bundle: Bundle, stores: MemoryStores, name: str = "c", shelf: Shelf | None = None) -> str:
    with pytest.raises((InputError, BundleError, StoreError)) as refused:
        run(lambda: kept(stores, GIVEN, shelf or Shelf(bundle), name))
    assert name not in str(refused.value).split()
    return str(refused.value)


def test_where_no_worker_has_been_is_told(bundle: Bundle) -> None:
    text = refusal(bundle, MemoryStores())
    assert text.startswith("Expected rows of group foretell and topic transactions in state layout")
    assert "start a worker with this bundle" in text


def test_a_customer_without_a_row_is_told_in_one_sentence(bundle: Bundle) -> None:
    text = refusal(bundle, run(lambda: filled(bundle, by_key(50), PARTITIONS)), "nobody")
    assert text.startswith("Expected a customer who has a row in transactions-")
    assert "found none as of offset 7; correct the id" in text


def test_the_number_of_partitions_is_found_though_the_first_markers_do_not_know_it(bundle: Bundle) -> None:
    log, shelf, layout = by_key(600), Shelf(bundle), bundle.rolling.layout

    async def look() -> None:
        stores = await filled(bundle, log, PARTITIONS)
        first = stores.partition((GIVEN.transactions_topic, 0)).markers
        first[layout.hash] = Marker(owner="just-begun").encode()
        name = next(f"c-{k}" for k in range(30) if partition_of(b"c-%d" % k, PARTITIONS) > 0)
        found, _ = await kept(stores, GIVEN, shelf, name)
        assert found.any()

    run(look)


def test_the_number_of_partitions_is_looked_for_as_long_as_there_are_markers(bundle: Bundle) -> None:
    many, layout = 40, bundle.rolling.layout.hash

    async def look() -> None:
        stores = await filled(bundle, by_key(10), many)
        for number in range(many - 1):
            stores.partition((GIVEN.transactions_topic, number)).markers[layout] = Marker(owner="just-begun").encode()
        with pytest.raises(InputError, match=r"a row in transactions-\d+, found none as of"):
            await kept(stores, GIVEN, Shelf(bundle), "nobody")
        stores.partition((GIVEN.transactions_topic, many - 1)).markers.clear()
        with pytest.raises(InputError, match="start a worker with this bundle"):
            await kept(stores, GIVEN, Shelf(bundle), "nobody")

    run(look)


def test_a_bundle_in_force_that_is_not_at_hand_is_told(bundle: Bundle, tmp_path: Path) -> None:
    stores = run(lambda: filled(bundle, by_key(300), PARTITIONS))
    other = every_kind.bundle(tmp_path / "bundle")
    name = next(name for name, (content, _) in rows_in(by_key(300), Shelf(bundle)).items() if any(content))
    for markers in (stores.partition((GIVEN.transactions_topic, k)).markers for k in range(PARTITIONS)):
        for layout, marker in markers.items():
            markers[layout] = Marker.decode(marker)._replace(bundle="f" * 64).encode()
    assert f"Expected the bundle {'f' * 64}, which is in force, in " in refusal(bundle, stores, name)
    for markers in (stores.partition((GIVEN.transactions_topic, k)).markers for k in range(PARTITIONS)):
        for layout, marker in markers.items():
            markers[layout] = Marker.decode(marker)._replace(bundle=other.sha256).encode()
    text = refusal(bundle, stores, name, Shelf(bundle, other.path.parent))
    assert "of the bundle in force, found" in text


def test_a_portrait_from_the_store_is_that_of_the_replayed_row(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    log, shelf = by_key(600), Shelf(bundle)
    stores = run(lambda: filled(bundle, log, PARTITIONS))
    monkeypatch.setattr("stream_app.portrait.sources.connect", lambda _given: stores)
    time_ms = NOON + 30 * DAY_MS
    names = [name for name, (content, _) in rows_in(log, shelf).items() if any(content)]
    for name in names[:10]:
        assert run(lambda name=name: from_store(GIVEN, shelf, name, time_ms)) == from_log(log, shelf, name, time_ms)  # type: ignore[misc]


def test_a_store_that_does_not_answer_is_not_waited_for(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(MemoryStores):
        def open(self, *_: object) -> Any:  # noqa: ANN401  (a store that never answers)
            class Never:
                async def read(self, _: object) -> None:
                    await asyncio.Event().wait()

            return Never()

    monkeypatch.setattr("stream_app.portrait.sources.connect", lambda _given: Silent())
    monkeypatch.setattr("stream_app.portrait.sources.ANSWER_S", 0.05)
    with pytest.raises(StoreError, match=r"Expected an answer of the store within 0\.05 s, found none"):
        run(lambda: from_store(GIVEN, Shelf(bundle), "c", NOON))


def test_a_captured_log_opened_from_its_file_gives_portraits(bundle: Bundle, tmp_path: Path) -> None:
    path = every_kind.write_log(tmp_path / "log.parquet", every_kind.records(400, customers=10), 2)
    assert from_log(open_log(path), Shelf(bundle), "c-1").customer_id == "c-1"
