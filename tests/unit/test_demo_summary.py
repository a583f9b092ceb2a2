"""What a demo tells at its end, and how it is asked for."""

import dataclasses
import shlex
from pathlib import Path

import msgspec
import pytest

from stream_app import cli
from stream_app.bundle import Bundle
from tests.unit.conftest import Tiny
from tests.unit.test_demo_folder import plan
from tests.unit.test_demo_state import alert, role
from training.demo import summary
from training.demo.cast import Cast
from training.demo.evidence import Agreement
from training.demo.flow import Outcome, Pace
from training.demo.plan import Plan
from training.demo.rehearsal import Rehearsal
from training.demo.run import planned
from training.demo.state import State

STRANGE = "c \x1b[2J; rm -rf 客户"


def outcome(bundle: Bundle, *customers: str, full: int = 50) -> Outcome:
    cast = Cast(tuple(role(name, "churn", came_ms=1_700_000_000_000) for name in customers), "Chosen so. " * 20)
    return Outcome(
        bundle=bundle,
        rehearsal=Rehearsal(150, 148, 1, 1, 0, 1000, cast),
        paced=Pace(100, 10.0),
        full=Pace(full, 0.5 if full else 0.0),
        latency=(3.4, 12.6),
        scores=Agreement(148, 148, 0),
        alerts=Agreement(1, 1, 0),
        letters=Agreement(1, 1, 0),
        portrait=("Customer c1.", "A long sentence " * 20) if customers else (),
    )


def ended(*customers: str) -> State:
    state = State("a bank", ["one"])
    state.watch([role(name) for name in customers], 150, (0, 1000))
    state.send(150, 1000)
    state.scored = 148
    state.refuse("time")
    state.alert(alert())
    return state


def told(asked: Plan, bundle: Bundle, *customers: str) -> str:
    return "\n".join(summary.told(asked, ended(*customers), outcome(bundle, *customers), 112.4))


def test_the_summary_tells_what_happened(tiny_bundle: Tiny) -> None:
    text = told(plan(Path("out")), tiny_bundle.bundle, "c1", "c2")
    wanted = [
        "a bank: done in 1:52 on ",
        "events in       150",
        "scored          148",
        "dead letters    1: time 1",
        "alerts          1: churn_high 1",
        "100 events at 10/s",
        "p50 3 ms, p99 13 ms",
        "50 events at 100/s",
        "148 of 148 scores, 1 of 1 alerts, 1 of 1 dead letters: the same bytes",
        "c1  drifting: churn rose from 0.10 to 0.60",
        "A long sentence",
        "In out",
        "report.html",
    ]
    assert [part for part in wanted if part not in text] == []
    assert max(len(line) for line in text.partition("Try next")[0].splitlines()) <= 100


def test_records_that_are_not_scored_are_accounted_for(tiny_bundle: Tiny) -> None:
    bundle = tiny_bundle.bundle
    text = told(plan(Path("out")), bundle)
    assert "  scored          148; the other 1 tell facts of customers, which are taken in and not scored" in text
    short = dataclasses.replace(outcome(bundle), scores=Agreement(147, 148, 0))
    lines = summary.told(plan(Path("out")), ended(), short, 1.0)
    assert "  scored          148" in lines, "what is missing is none of these"
    assert "  as replayed     147 of 148 scores, 1 of 1 alerts, 1 of 1 dead letters, and not all is the same" in lines


@pytest.mark.parametrize(("columns", "used"), [(80, 80), (20, 56), (300, 100)])
def test_the_summary_keeps_to_the_terminal_and_goes_on_below_its_texts(
    columns: int, used: int, tiny_bundle: Tiny
) -> None:
    found = outcome(tiny_bundle.bundle, "c1")
    lines = summary.told(plan(Path("out")), ended("c1"), found, 1.0, columns)
    text = lines[: lines.index("Try next")]
    prose = [line for line in text if "ROC AUC" not in line and not line.startswith("  task ")]
    assert used - 20 < max(len(line) for line in prose) <= used
    begin = next(number for number, line in enumerate(text) if line.startswith("  latency "))
    rest = text[begin + 1]
    assert len(rest) - len(rest.lstrip()) == text[begin].index("p50")


def test_the_quality_is_that_of_the_manifest(tiny_bundle: Tiny) -> None:
    text = told(plan(Path("out")), tiny_bundle.bundle, "c1")
    churn = next(line for line in text.splitlines() if line.startswith("  churn ")).split()
    entry = tiny_bundle.bundle.manifest.metrics["churn"]["tick"]
    assert churn[1:] == [f"{entry['rows']:,}", "ROC", "AUC", f"{entry['network']['roc_auc']:.3f}", "0.500"]
    assert "oracle" not in text


def test_the_oracle_is_told_of_where_there_is_one(tiny_bundle: Tiny, tmp_path: Path) -> None:
    manifest = tiny_bundle.bundle.manifest
    churn = manifest.metrics["churn"] | {
        "tick": manifest.metrics["churn"]["tick"] | {"oracle": {"rows": 9, "roc_auc": 0.9876, "share_of_gain": 0.91}}
    }
    better = msgspec.structs.replace(manifest, metrics=manifest.metrics | {"churn": churn})
    text = told(plan(Path("out")), Bundle(tmp_path, better, "0" * 64), "c1")
    line = next(line for line in text.splitlines() if line.startswith("  churn "))
    assert line.endswith(" 0.988          91%")
    assert "of its gain" in text


def test_a_bundle_without_measures_and_a_demo_without_customers_have_a_summary(
    tiny_bundle: Tiny, tmp_path: Path
) -> None:
    bare = msgspec.structs.replace(tiny_bundle.bundle.manifest, metrics={})
    text = told(plan(Path("out"), Path("d"), Path("b")), Bundle(tmp_path, bare, "0" * 64))
    assert "How good" not in text
    assert "portrait" not in text
    assert "report.html" not in text


@pytest.mark.parametrize("customers", [(), ("c1",), ("c; rm -rf 客户",)])
@pytest.mark.parametrize("data", [None, Path("my data")])
def test_the_commands_to_try_next_are_ones_that_foretell_takes(
    customers: tuple[str, ...], data: Path | None, tiny_bundle: Tiny
) -> None:
    asked = plan(Path("my out"), data, data and Path("my bundle"))
    found = summary.commands(asked, outcome(tiny_bundle.bundle, *customers), "foretell")
    assert len(found) == (3 if customers else 2)
    for command in found:
        name, *arguments = shlex.split(command)
        assert name == "foretell"
        if "--help" not in arguments:
            cli._parser().parse_args(arguments)  # noqa: SLF001  (what the command itself uses)
    assert any(shlex.quote(name) in command for name in customers for command in found) == bool(customers)


@pytest.mark.parametrize("customer", [STRANGE, "-5"])
def test_an_id_that_cannot_be_pasted_is_in_no_command(customer: str, tiny_bundle: Tiny) -> None:
    found = summary.commands(plan(Path("out")), outcome(tiny_bundle.bundle, customer), "foretell")
    assert not any("portrait" in command for command in found)
    found = summary.commands(plan(Path("out")), outcome(tiny_bundle.bundle, customer, "c2"), "foretell")
    assert any("portrait c2 " in command for command in found)


def test_nothing_in_the_summary_steers_the_terminal(tiny_bundle: Tiny) -> None:
    text = told(plan(Path("out")), tiny_bundle.bundle, STRANGE)
    assert [line for line in text.splitlines() if not line.isprintable()] == []
    assert "\\x1b[2J" in text


def test_the_command_is_named_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my env" / "bin" / "foretell"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert summary.called_as(str(program)) == f"'{program}'"
    monkeypatch.setenv("PATH", f"/usr/bin:{program.parent}")
    assert summary.called_as(str(program)) == "foretell"
    assert summary.called_as("/somewhere/stream_app/__main__.py").endswith("python -m stream_app")


def asked(*arguments: str) -> Plan:
    args = cli._parser().parse_args(["demo", *arguments])  # noqa: SLF001  (as above)
    return planned(args)


def test_without_flags_a_bank_is_simulated_in_the_folder() -> None:
    found = asked()
    assert (found.simulated, found.data, found.bundle) == (
        True,
        Path("foretell-demo/bank"),
        Path("foretell-demo/bundle"),
    )


def test_own_data_is_taken_as_it_is() -> None:
    found = asked("--data", "d", "--bundle", "b", "--out", "o", "--rate", "10", "--pace-seconds", "2")
    assert (found.simulated, found.data, found.bundle) == (False, Path("d"), Path("b"))
    assert (found.places.out, found.rate, found.pace_s) == (Path("o"), 10.0, 2.0)


@pytest.mark.parametrize("arguments", [["--data", "d"], ["--bundle", "b"]])
def test_data_and_bundle_belong_together(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["demo", *arguments])
    assert "--data and --bundle belong together" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--months", "2"], ["--seed", "x"], ["--rate", "0"], ["--customers", "0"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["demo", *arguments])
    assert "found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lacking", "flags"), [("rich", ()), ("rich", ("--data", "d", "--bundle", "b")), ("tensorflow", ())]
)
def test_a_missing_extra_is_told_in_one_sentence(
    lacking: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.demo.cli.find_spec", lambda name: None if name == lacking else name)
    assert cli.main(["demo", *flags]) == 1
    assert capsys.readouterr().err == (
        f"foretell: Expected the extra `demo`, found no {lacking}; run pip install 'foretell[demo]'.\n"
    )


def test_a_missing_server_is_told_as_the_embedded_ones_tell_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stream_app.embedded.missing", lambda: "Expected a broker, found none; start your own.")
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "foretell: Expected a broker, found none; start your own.\n"
