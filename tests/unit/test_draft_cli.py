"""The verb `spec`: what it writes, says and refuses."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import spec_file
from schemas.errors import InputError, OutputError, SpecError
from tests.kit import folders
from tests.kit.folders import Outcome, lively
from training.draft.cli import register

N = 80
INCOME: dict[str, list[Any]] = {
    "income": [1000.0 + number for number in range(N)],
    "segment": ["gold", "plain"] * (N // 2),
}
LOANS: list[Outcome] = [(f"c{number:03d}", "loan", 40.0 + number, "1") for number in range(0, N, 2)]


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="foretell")
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["spec", *map(str, arguments)])
    code: int = args.run(args)
    return code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a draft, to be copied."""
    folder = folders.write(tmp_path_factory.mktemp("data") / "my log", lively(), INCOME, LOANS)
    assert run("init", folder) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(made, tmp_path / "my log")
    return copied


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "scorer.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, without line breaks."""
    return " ".join(capsys.readouterr().out.split())


# ---- init ---------------------------------------------------------------------------------------------------------


def test_init_writes_a_draft_and_says_what_to_review(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "scorer.toml").unlink()

    assert run("init", folder) == 0

    told = said(capsys)
    spec = spec_file.load(folder / "scorer.toml")
    assert [item.name for item in spec.tasks] == ["churn", "value", "next_behaviour", "loan"]
    assert spec.name == "my_log"
    assert f"Wrote {folder / 'scorer.toml'}. Found {len(lively()):,} transactions of 80 customers over 160 days" in told
    assert "- initiator: account_fee (sounds like fee) guessed to be the bank's" in told
    assert "- currency: the log names none, EUR is a guess" in told
    assert told.endswith(f"Next: read {folder / 'scorer.toml'}, then foretell spec check {folder}")


def test_init_replaces_a_draft_that_nobody_has_changed_and_gives_it_again(folder: Path) -> None:
    before = (folder / "scorer.toml").read_bytes()

    assert run("init", folder) == 0

    assert (folder / "scorer.toml").read_bytes() == before


@pytest.mark.parametrize("text", ["# mine\n", "\ufeff", ""], ids=["a comment", "a mark", "empty"])
def test_init_keeps_a_spec_that_somebody_has_changed_until_forced(folder: Path, text: str) -> None:
    changed = f"{text}{(folder / 'scorer.toml').read_text(encoding='utf-8')}# mine" if text else ""
    (folder / "scorer.toml").write_text(changed, encoding="utf-8")

    with pytest.raises(
        OutputError, match=r"Expected no spec or an unchanged draft at .*, found one that was written or changed by"
    ):
        run("init", folder)
    assert (folder / "scorer.toml").read_text(encoding="utf-8") == changed

    assert run("init", folder, "--force") == 0
    assert "# mine" not in (folder / "scorer.toml").read_text(encoding="utf-8")


def test_init_writes_elsewhere_if_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "horizon_days = 30", "horizon_days = 21")

    assert run("init", folder, "--out", tmp_path / "other.toml", "--horizon-days", 14, "--currency", "GBP") == 0

    spec = spec_file.load(tmp_path / "other.toml")
    assert ({item.horizon_days for item in spec.tasks}, spec.currency) == ({14}, "GBP")
    assert spec_file.load(folder / "scorer.toml").task("churn").horizon_days == 21
    assert f"foretell spec check {tmp_path / 'other.toml'} --data {folder}" in said(capsys)


def test_init_keeps_what_an_earlier_spec_says_of_name_and_currency(folder: Path) -> None:
    change(folder, 'name = "my_log"', 'name = "ours"')
    change(folder, 'currency = "EUR"  # guessed: review, for the log names no currency', 'currency = "CHF"')

    run("init", folder, "--force")

    spec = spec_file.load(folder / "scorer.toml")
    assert (spec.name, spec.currency) == ("ours", "CHF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("init", "nowhere"), r"Expected an interchange folder at nowhere, found nothing"),
        (("init", "{folder}", "--currency", "euro"), r"Expected three capital letters such as EUR, found 'euro'"),
        (("check", "nowhere"), r"Expected a spec at nowhere, found: No such file"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(*(item.format(folder=folder) for item in arguments))


# ---- check --------------------------------------------------------------------------------------------------------


def test_check_says_in_words_what_a_draft_asks_and_that_it_fits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", folder) == 0

    told = said(capsys)
    assert f"{folder / 'scorer.toml'} is right: a row takes 1," in told
    assert "the customer's food, travel, rent, other" in told
    assert "the bank's account_fee" in told
    assert "the network sees income, segment" in told
    assert "task churn Will the customer do nothing for the next 30 days? Yes where" in told
    assert "rule loan_high Warning when loan rises to" in told
    assert told.endswith(f"It fits the log in {folder}.")


def test_check_of_a_file_alone_needs_no_data(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(folder / "scorer.toml", tmp_path / "alone.toml")

    assert run("check", tmp_path / "alone.toml") == 0
    assert "fits" not in said(capsys)
    assert run("check", tmp_path / "alone.toml", "--data", folder) == 0
    assert f"It fits the log in {folder}." in said(capsys)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[tasks]]", "[[task]]", r"Expected a valid spec at .*, found: .*`task`"),
        (
            'kind = "value"',
            'kind = "binary"',
            r"Expected a consistent spec at .*, found: task 'value' of kind 'binary'",
        ),
        ('feature = "own_silence_h"', 'feature = "own_silenc_h"', r"Expected the name of a feature .*'own_silenc_h'"),
    ],
)
def test_check_refuses_a_spec_that_is_wrong_in_itself(folder: Path, old: str, new: str, message: str) -> None:
    change(folder, old, new)

    with pytest.raises(SpecError, match=message):
        run("check", folder)


def drop_outcomes(folder: Path) -> None:
    (folder / "outcomes.parquet").unlink()


def drop_types(folder: Path) -> None:
    change(folder, '  { name = "rent" }', '  { name = "boat" }')


def forget_initiator(folder: Path) -> None:
    change(folder, ', initiator = "bank"', "")


def narrow(folder: Path) -> None:
    change(
        folder, 'name = "income", kind = "number", at_most = 5000', 'name = "income", kind = "number", at_most = 1040'
    )


def forget_value(folder: Path) -> None:
    change(folder, 'values = ["gold", "plain"]', 'values = ["gold"]')


def other_kind(folder: Path) -> None:
    change(folder, 'kind = "category", values = ["gold", "plain"]', 'kind = "number"')


def rename_attribute(folder: Path) -> None:
    change(folder, 'name = "income"', 'name = "wealth"')


def classes(folder: Path) -> None:
    change(folder, 'name = "loan"\nkind = "binary"\n', 'name = "loan"\nkind = "multiclass"\nclasses = ["none", "2"]\n')
    text = (folder / "scorer.toml").read_text(encoding="utf-8")
    head, task, rest = text.partition('name = "loan"\n')
    bands = next(line for line in rest.splitlines() if line.startswith("bands"))
    rest = rest.replace(f"{bands}\n", "", 1)
    rest = rest.replace('task = "loan"', 'task = "loan"\nclass = "2"')
    (folder / "scorer.toml").write_text(head + task + rest, encoding="utf-8")


def unasked(folder: Path) -> None:
    change(folder, 'name = "loan"\n', 'name = "loan"\noutcome = "debt"\n')


def too_far(folder: Path) -> None:
    change(folder, "horizon_days = 30", "horizon_days = 300")


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (drop_types, 0, "The log has types that the spec does not list (rent "),
        (drop_types, 0, "The log has no transaction of the types boat: remove those that will never come."),
        (forget_initiator, 0, "The types account_fee are the customer's and sound like the bank's"),
        (narrow, 0, "Attribute income is beyond 0 to 1040 in 39 customer records, which are refused"),
        (narrow, 0, "Records are refused, in training as in the stream: 39 for attribute."),
        (forget_value, 0, "Attribute segment has values that the spec does not list (plain): add them."),
        (rename_attribute, 0, "customers.parquet has columns that the spec does not use (income)"),
        (rename_attribute, 0, "customers.parquet has no column for the attributes wealth"),
        (other_kind, 3, "WRONG: Attribute segment is a number, but its column holds texts"),
        (drop_outcomes, 3, "WRONG: Task loan needs outcomes named 'loan', and outcomes.parquet has none"),
        (unasked, 3, "outcomes.parquet tells loan, which no task asks for"),
        (classes, 3, "WRONG: Outcomes 'loan' have values that are no class of task loan (1)."),
        (too_far, 3, "WRONG: Task churn has too little to learn from (labelled rows: 0; at least 50 are needed)"),
    ],
)
def test_check_says_what_does_not_fit_the_log(
    folder: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], code: int, sentence: str
) -> None:
    spoil(folder)

    assert run("check", folder) == code

    assert sentence in said(capsys)


def test_a_horizon_beyond_the_log_is_wrong_even_if_some_customers_only_are_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.draft.survey.MOST_CUSTOMERS", 20)
    too_far(folder)

    assert run("check", folder) == 3

    assert "WRONG: Task churn has too little to learn from (labelled rows: 0;" in said(capsys)


def test_few_labels_of_some_customers_are_not_wrong_yet(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.draft.survey.MOST_CUSTOMERS", 1)

    assert run("check", folder) == 0

    assert "Task churn has too little to learn from" in said(capsys)


@pytest.mark.parametrize("action", ["init", "check"])
def test_help_shows_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(action, "--help")

    assert stop.value.code == 0
    assert f"foretell spec {action} mine" in capsys.readouterr().out.split("example")[1]


def test_drafting_and_checking_need_nothing_of_the_training_extra(folder: Path) -> None:
    script = """import sys
from stream_app.cli import main
sys.modules.update(dict.fromkeys("keras matplotlib onnx sklearn tensorflow tf2onnx".split()))
sys.exit(any(main(["spec", verb, sys.argv[1]]) for verb in ("init", "check")))
"""

    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
