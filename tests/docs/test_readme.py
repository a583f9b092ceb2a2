"""What the README shows is what the project does: commands, tables, links."""

import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator

import pytest

from schemas import errors, messages
from stream_app import cli, settings
from stream_app.metrics import Metrics
from tests.kit.compose import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ANY = re.compile(r"…|\\\||(?<![\w-])[A-Z]{3,}(?![\w-])")
"""What stands for something else: that is no command to be typed."""


def marked(name: str, text: str = README) -> str:
    """Return what stands between the markers of that name."""
    found = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->\n", text, re.DOTALL)
    assert len(found) == 1, f"{len(found)} parts are marked {name}"
    return str(found[0])


def commands(text: str) -> Iterator[str]:
    """Yield each `foretell …` that can be typed as it stands: in blocks after the prompt, and between backticks."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            yield from (part.strip() for part in line.split("&&") if part.strip().startswith("foretell "))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`(foretell [^`]+)`", prose):
        if not ANY.search(span):
            yield span


def parser() -> ArgumentParser:
    return cli._parser()  # noqa: SLF001  (what the command itself uses)


def refusal(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return why the command line does not take a command; nothing if it does."""
    try:
        parser().parse_args(shlex.split(command)[1:])
    except SystemExit as end:
        said = capsys.readouterr()
        return "" if end.code == 0 else said.err
    return ""


@pytest.mark.parametrize("command", sorted({*commands(README), *commands(CHINESE), *commands(CONTRIBUTING)}))
def test_every_command_shown_is_one_that_foretell_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(command, capsys)
    only_named = f"`{command}`" in README + CHINESE + CONTRIBUTING and "arguments are required" in told
    assert only_named or told == ""


@pytest.mark.parametrize(
    "command", ["foretell wrker --bundle b", "foretell worker --bundel b", "foretell tail scoress"]
)
def test_a_command_that_does_not_exist_would_be_noticed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "required" not in refusal(command, capsys)
    assert "foretell" in refusal(command, capsys)


def test_commands_are_found_in_blocks_and_between_backticks() -> None:
    block = "```console\n$ a && foretell bundle show b\n$ foretell tail \\\n    alerts\n```\n"
    text = block + "use `foretell tail scores`, not `foretell replay DIR`\n"
    found = [" ".join(command.split()) for command in commands(text)]
    assert found == ["foretell bundle show b", "foretell tail alerts", "foretell tail scores"]
    assert "foretell publish bank --rate 2000" in set(commands(README))


def verbs() -> set[str]:
    return set(re.findall(r"^    ([a-z]+)(?: |$)", parser().format_help(), re.MULTILINE))


def test_every_verb_is_in_the_table_of_commands() -> None:
    table = README.partition("## The command line")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `foretell (\w+)", table, re.MULTILINE)) == verbs()


def test_the_settings_are_those_that_the_worker_has() -> None:
    module = [sys.executable, "-m", "stream_app.settings"]
    done = subprocess.run(module, capture_output=True, text=True, check=True, cwd=ROOT)
    assert marked("settings") == done.stdout == settings.table()


def test_every_variable_named_is_a_setting_or_one_of_the_tests() -> None:
    known = set(re.findall(r"FORETELL_[A-Z_]+", settings.table()))
    of_tests = {"FORETELL_DATA", "FORETELL_KAFKA_LIBS", "FORETELL_TEST_ARTEFACTS", "FORETELL_TEST_REQUIRE"}
    assert set(re.findall(r"FORETELL_[A-Z_]+", README)) <= known
    assert set(re.findall(r"FORETELL_[A-Z_]+", CONTRIBUTING)) <= known | of_tests


def metrics_table() -> str:
    """Return the worker's metrics as the README shows them."""
    page = Metrics().page().decode()
    lines = ["| metric | kind | what it is |", "| --- | --- | --- |"]
    for name, text, kind in re.findall(r"^# HELP (\w+) (.*)\n# TYPE \w+ (\w+)$", page, re.MULTILINE):
        if not name.endswith("_created"):
            lines.append(f"| `{name}` | {kind} | {text} |")
    return "\n".join(lines) + "\n"


def test_the_metrics_are_those_that_the_worker_counts() -> None:
    assert marked("metrics") == metrics_table()


def test_the_kinds_of_records_are_those_of_the_contract() -> None:
    table = README.partition("| kind | what it does |")[2].partition("\n\n")[0]
    kinds = [kind.__struct_config__.tag for kind in messages.Record.__args__]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == kinds


def test_the_exit_codes_are_those_of_the_errors() -> None:
    kinds: list[type[errors.ForetellError]] = [errors.ForetellError, *errors.ForetellError.__subclasses__()]
    found = {kind.exit_code for kind in kinds}
    table = README.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+)", table, re.MULTILINE)}
    assert listed >= found | {errors.EXIT_OK, errors.EXIT_INTERRUPTED}


def test_the_files_that_the_contributing_guide_names_exist() -> None:
    places = set(re.findall(r"`((?:schemas|stream_app|training|tests)/[\w/.]*)`", CONTRIBUTING))
    assert len(places) > 20
    assert {place for place in places if not (ROOT / place).exists()} == set()


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make (?:[A-Z]+=\S+ )?([a-z]+)`", CONTRIBUTING + README))
    assert named - targets == set()


def test_why_it_is_built_on_faust_so_is_told_in_five_lines() -> None:
    assert len(marked("faust").splitlines()) == 5


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not leads_somewhere(link, name)] == []


def leads_somewhere(link: str, page: str) -> bool:
    """Return whether the file is there, and the heading in it."""
    place, _, heading = link.partition("#")
    target = ROOT / (place or page)
    if not heading or not target.is_file():
        return target.exists()
    titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("link", ["README.md#no-such-heading", "#nor-this", "nowhere.md"])
def test_a_link_that_leads_nowhere_would_be_noticed(link: str) -> None:
    assert not leads_somewhere(link, "README.md")
    assert leads_somewhere("README.md#live", "README.zh-CN.md")


def test_the_folders_in_the_tree_exist() -> None:
    tree = README.partition("## The tree")[2].partition("\nImports point")[0]
    above = ROOT
    for indent, names in re.findall(r"^    ( *)(\w[\w/]*(?:, \w+)*)  ", tree, re.MULTILINE):
        place = above if indent else ROOT
        for name in names.split(", "):
            assert any((place / (name + end)).exists() for end in ("", ".py")), name
        above = above if indent else ROOT / names


def test_every_figure_was_measured() -> None:
    assert "FIGURES" not in README, "a figure is still to be put in"


def test_no_line_is_longer_than_a_screen() -> None:
    text = re.sub(r"<!-- (settings|metrics) -->.*?<!-- /\1 -->", "", README, flags=re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 140 and not line.startswith("|")] == []
