"""What every data set must do. A new one joins ``DATA_SETS`` and inherits all of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pytest

from schemas.errors import InputError
from schemas.progress import SILENT
from stream_app.kernel.rolling import Rolling
from stream_app.offline.folder import CUSTOMERS, OUTCOMES, PRODUCTS, SPEC, TRANSACTIONS, Folder, read_folder
from tests.cards import clients, write_clients
from tests.unit.test_berka import days, publish, trans
from training.datasets.berka import Berka
from training.datasets.online_retail import OnlineRetail
from training.datasets.port import DataSet
from training.datasets.simulator import BankSimulator
from training.datasets.tabular import TabularImport, TabularOptions
from training.datasets.taiwan import Taiwan
from training.events import read_log
from training.samples import draw, without_repeats

RETAIL = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"
FILES = (TRANSACTIONS, CUSTOMERS, PRODUCTS, OUTCOMES, SPEC)


@dataclass(frozen=True)
class Case:
    """A data set to try.

    Attributes:
        make: returns the data set; what it is made from may be written into the folder.
        source: returns the data set over another source; None where it needs none.
        whole: whether there is enough in it for a label of every task.
    """

    make: Callable[[Path], DataSet]
    source: Callable[[Path], DataSet] | None
    whole: bool = True


def berka(folder: Path) -> Berka:
    rows = (*days(1, 93, 10, 6), *days(2, 93, 2, 9), *days(3, 96, 5, 6))
    return Berka(publish(folder / "berka", trans(*rows)))


def csv(source: Path) -> TabularImport:
    options = TabularOptions(type="purchase", group="transaction_id", skip_bad=True)
    return TabularImport(source, options)


def log(folder: Path) -> Path:
    rows = (f"t{day},c{day % 9},2024-01-{1 + day % 28:02d}T{day % 24:02d}:00:00Z,{-5 - day}" for day in range(300))
    (folder / "log.csv").write_text("\n".join(["transaction_id,customer_id,time,amount", *rows]))
    return folder / "log.csv"


DATA_SETS = {
    "simulate": Case(lambda _: BankSimulator(1, 20, 6, 1.0), None, whole=False),
    "berka": Case(berka, Berka, whole=False),
    "csv": Case(lambda folder: csv(log(folder)), csv),
    "online-retail": Case(lambda _: OnlineRetail(RETAIL), OnlineRetail),
    "taiwan": Case(lambda folder: Taiwan(write_clients(folder / "clients.csv", clients(60))), Taiwan),
}


@pytest.fixture(scope="module", params=DATA_SETS)
def case(request: pytest.FixtureRequest) -> Case:
    return DATA_SETS[request.param]


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    place = tmp_path_factory.mktemp("data_set")
    case.make(place).write(place / "d", SILENT)
    return read_folder(place / "d")


def test_it_is_whole_and_accepted_as_the_stream_accepts_it(folder: Folder) -> None:
    found = read_log(folder, folder.spec)

    assert found.refused == {}
    assert len(found.transactions.kind) == folder.transactions.num_rows > 0
    assert without_repeats(found, Rolling.of(folder.spec)).refused == {}


def test_its_log_is_in_the_order_of_time(folder: Folder) -> None:
    for table in (folder.transactions, folder.customers):
        assert pc.all(pc.less_equal(table["time"][:-1], table["time"][1:])).as_py() is not False


def test_its_types_and_attributes_are_those_of_its_spec(folder: Folder) -> None:
    spec = folder.spec

    assert set(folder.transactions["type"].to_pylist()) <= set(spec.type_code)
    assert set(folder.attributes) <= {item.name for item in spec.attributes}
    for item in spec.attributes:
        if item.kind == "category" and item.name in folder.attributes:
            assert set(folder.customers[item.name].to_pylist()) - {None} <= set(item.values)


def test_nobody_acts_after_the_end_of_the_observation(folder: Folder) -> None:
    found = read_log(folder, folder.spec)

    assert (found.transactions.time_ms < found.observed_until[found.transactions.customer]).all()


@pytest.mark.parametrize("name", [name for name, case in DATA_SETS.items() if case.whole])
def test_every_task_of_its_spec_has_labels(name: str, tmp_path: Path) -> None:
    DATA_SETS[name].make(tmp_path).write(tmp_path / "d", SILENT)
    folder = read_folder(tmp_path / "d")

    known = draw(read_log(folder, folder.spec), folder.spec, 1).labels.known

    assert [task.name for index, task in enumerate(folder.spec.tasks) if not known[:, index].any()] == []


def test_the_same_source_gives_the_same_bytes(case: Case, folder: Folder, tmp_path: Path) -> None:
    case.make(tmp_path).write(tmp_path / "again", SILENT)

    for name in FILES:
        first, second = ((place / name) for place in (folder.path, tmp_path / "again"))
        assert first.exists() == second.exists()
        assert not first.exists() or first.read_bytes() == second.read_bytes()


class Told:
    """Remembers what share of each phase was done."""

    def __init__(self) -> None:
        self.phases: dict[str, list[float]] = {}

    def step(self, phase: str, done: int, total: int, text: str = "") -> None:
        del text
        self.phases.setdefault(phase, []).append(done / total)


def test_it_tells_how_far_it_is(case: Case, tmp_path: Path) -> None:
    told = Told()

    case.make(tmp_path).write(tmp_path / "d", told)

    assert told.phases
    assert {phase: sorted(shares) for phase, shares in told.phases.items()} == told.phases
    assert {shares[-1] for shares in told.phases.values()} == {1.0}


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"\x89PNG\r\n\x00\xff"])
@pytest.mark.parametrize("source", [case.source for case in DATA_SETS.values() if case.source])
def test_another_source_is_refused_in_one_sentence_and_nothing_is_left(
    source: Callable[[Path], DataSet], tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "source.csv").write_bytes(content)

    with pytest.raises(InputError, match=r"^Expected [^;]+, found[^;]*; .*[^.]\.$"):
        source(tmp_path / "source.csv").write(tmp_path / "d", SILENT)
    assert not (tmp_path / "d").exists()
