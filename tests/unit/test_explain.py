"""`foretell explain`: the score that went out, and all that made it."""

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from schemas.errors import BundleError, InputError
from schemas.explanation import Explanation
from schemas.messages import Alert, Score
from stream_app import bundle as bundles
from stream_app.bundle import MODEL, Bundle
from stream_app.cli import main
from stream_app.offline.explaining import Place, explain
from stream_app.offline.log import open_log
from stream_app.offline.replay import Outputs, replay_files
from stream_app.shelf import Shelf
from tests.unit.conftest import Tiny
from tests.unit.test_reasons import explained

__all__ = ["explained"]  # a fixture
Told = tuple[list[Score], list[Alert]]


@pytest.fixture(scope="module")
def out(tiny_bundle: Tiny, explained: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Told:
    place = tmp_path_factory.mktemp("out")
    replay_files(tiny_bundle.folder.path, explained.path, Outputs(place / "scores", alerts=place / "alerts"))
    scores, alerts = (pq.read_table(place / name)["message"].to_pylist() for name in ("scores", "alerts"))
    return (
        [msgspec.json.decode(text, type=Score) for text in scores],
        [msgspec.json.decode(text, type=Alert) for text in alerts],
    )


def why(tiny: Tiny, bundle: Bundle, score_id: str, language: str | None = None) -> Explanation:
    return explain(open_log(tiny.folder.path), Shelf(bundle), score_id, language)


def test_the_score_that_went_out_is_explained_and_its_contributions_add_up(
    tiny_bundle: Tiny, explained: Bundle, out: Told
) -> None:
    for score in (out[0][0], out[0][len(out[0]) // 2], out[0][-1]):
        found = why(tiny_bundle, explained, score.score_id)

        assert (found.customer_id, found.time, found.bundle) == (score.customer_id, score.time, score.bundle)
        assert set(found.tasks) == {name for name, answer in score.tasks.items() if answer.eligible}
        for name, task in found.tasks.items():
            assert (task.score, task.class_) == (score.tasks[name].score, score.tasks[name].choice)
            total = sum(reason.contribution for reason in task.reasons)
            assert total == pytest.approx(task.answer - task.reference, abs=5e-3)


def test_an_alert_names_the_same_reasons(tiny_bundle: Tiny, explained: Bundle, out: Told) -> None:
    alert = next(alert for alert in out[1] if alert.rule == "high" and alert.reasons)
    found = why(tiny_bundle, explained, alert.score_id).tasks["churn"]

    upwards = [reason for reason in found.reasons if reason.contribution > 0]
    assert tuple(upwards[: len(alert.reasons)]) == alert.reasons


def test_texts_are_in_the_language_that_is_asked_for(tiny_bundle: Tiny, explained: Bundle, out: Told) -> None:
    found = why(tiny_bundle, explained, out[0][-1].score_id, "zh").tasks["churn"]
    assert any(ord(letter) > 0x4E00 for reason in found.reasons for letter in reason.text)


def test_a_bundle_that_cannot_explain_says_so(tiny_bundle: Tiny, explained: Bundle, out: Told, tmp_path: Path) -> None:
    plain = bundles.write(tmp_path / "plain", explained.manifest, {MODEL: explained.model})
    with pytest.raises(BundleError, match="Expected a bundle that explains its scores"):
        why(tiny_bundle, plain, out[0][0].score_id)


@pytest.mark.parametrize(
    ("score_id", "told"),
    [
        ("nonsense", "Expected the id of a score"),
        ("transactions-0-99999999", "Expected the score transactions-0-99999999 in the log, found none"),
        ("transactions-77-0", "Expected the score transactions-77-0 in the log, found none"),
        ("elsewhere-0-0", "found none"),
        ("transactions-0-0-nobody", "found none"),
    ],
)
def test_what_is_no_score_is_told(tiny_bundle: Tiny, explained: Bundle, score_id: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        why(tiny_bundle, explained, score_id)


def test_the_id_of_a_tick_names_the_customer() -> None:
    assert Place.of("transactions-3-12-c-7") == Place("transactions", 3, 12, "c-7")
    assert Place.of("my-topic-3-12") == Place("my-topic", 3, 12)


def test_the_command_tells_it_in_lines_or_as_json(
    tiny_bundle: Tiny, explained: Bundle, out: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    score = out[0][-1]
    given = [score.score_id, "--log", str(tiny_bundle.folder.path), "--bundle", str(explained.path), "--language", "en"]

    assert main(["explain", *given, "--task", "churn", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{score.score_id}: customer {score.customer_id}, bundle {score.bundle}"
    assert lines[2].startswith("churn: ")
    assert lines[-1].strip().startswith(("+", "-"))
    assert "in all: from" in lines[-1]
    assert len(lines) == 7

    assert main(["explain", *given, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Explanation).score_id == score.score_id
    assert main(["explain", *given, "--task", "nothing"]) == 3
