"""Twenty thousand mutated records find nothing; each protection of the steps, switched off, is found."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas import codec
from schemas.accepted import Rejection
from stream_app.shelf import Shelf
from stream_app.steps import decode, encode, features, numbers
from stream_app.steps.decode import Vocabulary
from stream_app.steps.stages import Chunk, Decoded
from tests.chunks import as_value, transaction
from tests.fuzz import cli, stream
from tests.fuzz.cli import fuzzed, played
from tests.fuzz.stream import Entry
from tests.kit import every_kind

RECORDS = 20_000
FEW = 3_000


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Make the bundle whose rules fire often."""
    return Shelf(every_kind.bundle(tmp_path_factory.mktemp("fuzz") / "first"))


def test_mutated_records_crash_nothing_harm_nobody_and_come_out_right_or_not_at_all(shelf: Shelf) -> None:
    tally = fuzzed(shelf, 1, RECORDS, silent=True)

    assert [str(finding) for finding in tally.findings] == []
    assert tally.records == RECORDS
    assert {name for name, count in tally.outcomes.items() if count < 3} == set()
    kinds = ("transaction", "customer", "tick", "activate", "forget")
    reasons = ("malformed", "kind", "schema", "id", "key", "time", "amount", "currency", "attribute", "duplicate")
    assert tally.outcomes.keys() == {f"accepted: {kind}" for kind in kinds} | {f"dead letter: {r}" for r in reasons}


def test_a_seed_gives_the_same_records_again() -> None:
    first, again, other = (list(stream.entries(seed, 300, [])) for seed in (1, 1, 2))

    assert first == again != other


# Negative controls: what is broken is found.


def any_id(patch: pytest.MonkeyPatch) -> None:
    """Ids may be empty, long, or hold a NUL."""
    patch.setattr(decode, "id_problem", lambda *_: None)


def any_amount(patch: pytest.MonkeyPatch) -> None:
    """Amounts and balances have no bounds."""
    patch.setattr(decode, "amount_problem", lambda *_: None)


def nest_without_end(patch: pytest.MonkeyPatch) -> None:
    """Records may nest as deep as they like."""
    patch.setattr(codec, "_is_deep", lambda _: False)


def any_bytes(patch: pytest.MonkeyPatch) -> None:
    """Records need not be text."""
    patch.setattr(codec, "_is_text", lambda _: True)


def lost_neighbours(patch: pytest.MonkeyPatch) -> None:
    """The last record of a chunk with a bad one gets lost."""
    whole = decode.decode

    def decode_less(chunk: Chunk, vocabulary: Vocabulary) -> Decoded:
        found = whole(chunk, vocabulary)
        return whole(chunk.slice(0, len(chunk.keys) - 1), vocabulary) if found.rejections else found

    patch.setattr(decode, "decode", decode_less)


def told_by_neighbours(patch: pytest.MonkeyPatch) -> None:
    """What a dead letter says depends on how many records were looked at together."""
    problem = decode._Messages._problem  # noqa: SLF001  (a step's own)

    def counted(self: decode._Messages, k: int) -> codec.Refusal | None:
        found = problem(self, k)
        return found and (found[0], f"{found[1]}, one of {len(self.messages)}")

    patch.setattr(decode._Messages, "_problem", counted)  # noqa: SLF001  (as above)


def scores_beyond_bounds(patch: pytest.MonkeyPatch) -> None:
    """Scores are twice what the network says."""
    six_decimals = numbers.six_decimals

    def doubled(scores: NDArray[np.float32]) -> NDArray[np.float64]:
        return 2 * six_decimals(scores)

    patch.setattr(numbers, "six_decimals", doubled)


def letters_without_words(patch: pytest.MonkeyPatch) -> None:
    """Dead letters do not say why."""
    letters = encode.dead_letters

    def silent(rejections: list[Rejection], chunk: Chunk) -> list[encode.DeadLetter]:
        return letters([rejection._replace(detail="") for rejection in rejections], chunk)

    patch.setattr(encode, "dead_letters", silent)


def rows_not_finite(patch: pytest.MonkeyPatch) -> None:
    """An infinite number gets into a row."""
    read = features.read

    def spoil(batch, rows, matrix, rolling, eligibility):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  (as the step)
        found = read(batch, rows, matrix, rolling, eligibility)
        matrix[rows[0], -1] = np.inf
        return found

    patch.setattr(features, "read", spoil)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (any_id, "Expected an id of 1 to 256 bytes"),
        (any_amount, "Expected amount within 1e12"),
        (nest_without_end, "RecursionError"),
        (any_bytes, "Expected JSON in UTF-8"),
        (told_by_neighbours, "for any cut"),
        (lost_neighbours, "Expected 1 scores, found 0"),
        (scores_beyond_bounds, "Expected probabilities from 0 to 1"),
        (letters_without_words, "Expected words for what was expected and found"),
        (rows_not_finite, "Expected finite rows"),
    ],
)
def test_what_is_broken_is_found(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None], told: str
) -> None:
    broken(monkeypatch)

    assert any(told in str(finding) for finding in fuzzed(shelf, 1, FEW, silent=True).findings)


def test_a_finding_names_the_record_in_a_form_that_can_be_played_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    any_amount(monkeypatch)
    bad = Entry(b"c", as_value(transaction(transaction_id="t-2", amount=1.1e12)))
    tally = played(shelf, [Entry(b"c", as_value(transaction())), bad])
    (found,) = (finding for finding in tally.findings if finding.entry)
    words = str(found).split("--play ")[1].split()

    assert (found.entry, found.place) == (bad, 1)
    assert cli.main(["--play", *words]) == 1
    assert "Expected amount within 1e12" in capsys.readouterr().out


def test_the_command_ends_well_where_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--records", "500", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing found: all is as it must be"
