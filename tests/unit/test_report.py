"""The report is one page that needs nothing else, says what was measured, and can be read by everyone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Final

import msgspec
import numpy as np
import pytest
from sklearn import metrics

from schemas.spec import Task
from stream_app.bundle import outputs_of
from stream_app.steps.predict import Predictor
from tests.logs import spec_of
from tests.unit.conftest import Tiny
from training.evaluate import Exam, Sheet, answer, evaluate
from training.history import History
from training.labels import RULES
from training.prepare import Prepared
from training.report import meaning as meanings
from training.report.card import card
from training.report.census import Census
from training.report.markup import Html, joined, tag
from training.report.meaning import meaning
from training.report.page import html
from training.report.palette import DARK, LIGHT, variables
from training.report.story import Story
from training.report.summary import better_than, summary_rows
from training.report.tables import number

VOID: Final = {"meta", "link"}


@dataclass
class Element:
    """An element of a page and what is in it."""

    name: str
    attributes: dict[str, str]
    parts: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def all(self, *names: str) -> list["Element"]:
        """Return all elements of these names within, in the order of the page; all where none is named."""
        return [item for item in walk(self) if not names or item.name in names]


def walk(element: Element) -> Iterator[Element]:
    for part in element.parts:
        if isinstance(part, Element):
            yield part
            yield from walk(part)


class Page(HTMLParser):
    """A page as a tree; every element must be closed where it was opened."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(content)
        self.close()
        assert self._open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].parts.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)


@pytest.fixture(scope="module")
def story(tiny_bundle: Tiny, tiny_prepared: Prepared) -> Story:
    """Return the story of the tiny bundle, with linear models that see nothing: they take no time."""
    spec, log, samples, split = (getattr(tiny_prepared, name) for name in ("spec", "log", "samples", "split"))
    scores = Predictor.of(tiny_bundle.bundle)(samples.features)
    sheets = answer(Exam(spec, log, samples, split, scores, np.zeros((len(scores), 1), np.float32)))
    history = History(training=[2.0, 1.0], validation=[np.array([0.9, 0.8, 0.7, 1.2])] * 2, total=[1.9, 1.5], best=1)
    manifest = msgspec.structs.replace(tiny_bundle.bundle.manifest, metrics=evaluate(sheets))
    return Story(manifest, history, sheets, Census.of(spec, log, samples, split))


@pytest.fixture(scope="module")
def page(story: Story) -> Element:
    return Page(html(story).decode()).root


def tables(element: Element) -> dict[str, list[list[str]]]:
    """Return the cells of all tables by their captions."""
    found = {}
    for table in element.all("table"):
        (caption,) = table.all("caption")
        found[caption.text] = [[cell.text for cell in row.all("th", "td")] for row in table.all("tr")]
    return found


def section(page: Element, place: str) -> Element:
    (found,) = [item for item in page.all("section") if item.attributes.get("id") == place]
    return found


def test_the_page_of_a_training_loads_nothing_and_is_allowed_to_load_nothing(tiny_bundle: Tiny) -> None:
    text = (tiny_bundle.bundle.path / "report.html").read_text()
    page = Page(text).root
    (policy,) = [item for item in page.all("meta") if item.attributes.get("http-equiv") == "Content-Security-Policy"]

    assert outside(page, text) == []
    assert policy.attributes["content"].startswith("default-src 'none';")


def outside(page: Element, text: str) -> list[str]:
    """Return whatever on a page leads out of it."""
    led = [
        item.attributes[name]
        for item in page.all()
        for name in ("src", "href", "srcset", "data", "action", "poster")
        if name in item.attributes
    ]
    return [place for place in led if not place.startswith("#") and place != "data:,"] + re.findall(
        r"https?:|url\(|@import", text
    )


def test_what_leads_out_of_a_page_would_be_noticed() -> None:
    for text in ('<img src="a.png">x</img>', '<a href="http://b">b</a>', "<style>@import 'c'</style>"):
        assert outside(Page(text).root, text) != []


def test_the_same_story_gives_the_same_bytes(story: Story) -> None:
    assert html(story) == html(story)


def test_the_page_is_small(story: Story) -> None:
    assert len(html(story)) < 400_000


def test_every_place_is_there_once_and_every_link_leads_to_one(page: Element) -> None:
    places = [item.attributes["id"] for item in page.all() if "id" in item.attributes]
    links = [item.attributes["href"].removeprefix("#") for item in page.all("a")]

    assert len(places) == len(set(places))
    assert set(links) == set(places)


def test_pictures_say_what_they_show_and_tables_what_their_cells_are(page: Element) -> None:
    pictures = [item for item in page.all("svg") if "aria-hidden" not in item.attributes]

    assert len(pictures) > 20
    for item in pictures:
        assert item.attributes["role"] == "img"
        assert len(item.attributes["aria-label"]) > 20
    for table in page.all("table"):
        assert len(table.all("caption")) == 1
        assert {item.attributes["scope"] for item in table.all("th")} == {"col", "row"}


def test_the_headline_is_what_the_manifest_says(story: Story, page: Element) -> None:
    (rows,) = tables(section(page, "summary")).values()
    shown = [(row[0], row[1], row[-1], row[3], *row[4:7]) for row in rows[1:]]

    assert shown == [line[:-1] for line in summary_rows(story.manifest)]
    better, lines = better_than(story.manifest, "linear")
    assert f"{better} of {lines} lines" in section(page, "summary").text


def test_better_means_less_of_a_loss_and_more_of_an_area(story: Story) -> None:
    def measured(network: float, linear: float) -> Story:
        entry = {"rows": 1, "network": {"roc_auc": network, "log_loss": network, "spearman": network}}
        entry["linear"] = {"roc_auc": linear, "log_loss": linear, "spearman": linear}
        metrics = {task.name: {"tick": entry} for task in story.manifest.spec.tasks}
        return replace(story, manifest=msgspec.structs.replace(story.manifest, metrics=metrics))

    assert better_than(measured(0.7, 0.6).manifest, "linear") == (3, 4)  # next is measured by its loss
    assert better_than(measured(0.6, 0.7).manifest, "linear") == (1, 4)
    assert better_than(measured(0.6, 0.6).manifest, "linear") == (0, 4)


def test_a_bar_is_the_way_from_the_prior_to_a_perfect_answer(story: Story, page: Element) -> None:
    entry = story.manifest.metrics["next"]["tick"]
    gain = 1 - entry["network"]["log_loss"] / entry["prior"]["log_loss"]
    bars = [item for item in section(page, "summary").all("span") if item.attributes.get("class") == "meter"]

    (shown,) = [
        bar for bar, line in zip(bars, summary_rows(story.manifest), strict=True) if line[:2] == ("next", "tick")
    ]

    assert shown.attributes["aria-label"].startswith(f"network {max(gain, 0):.0%}")
    assert shown.all("i")[0].attributes["style"] == f"width:{100 * max(gain, 0):.1f}%"


def test_every_measure_of_every_task_is_on_the_page(story: Story, page: Element) -> None:
    for task in story.manifest.spec.tasks:
        for kind, entry in story.manifest.metrics[task.name].items():
            rows = tables(section(page, f"task-{task.name}"))[f"Measures, {kind} rows"]
            assert len(rows) - 3 == len(entry["network"].keys() - {"shares"})
            sure = entry["intervals"]["network"]
            if sure["low"] or sure["high"]:
                assert rows[-2][1] == f"{number(sure['low'])} to {number(sure['high'])}"


def test_confusion_is_that_of_scikit_learn_at_the_threshold_from_validation(story: Story, page: Element) -> None:
    sheet = story.sheets["churn"]["event"]
    assert sheet.thresholds["network"] is not None
    said = sheet.scores["network"][:, 0] >= sheet.thresholds["network"]

    assert matrix(section(page, "task-churn"), 0) == metrics.confusion_matrix(sheet.target > 0, said).tolist()


def test_confusion_of_classes_is_that_of_scikit_learn(story: Story, page: Element) -> None:
    sheet = story.sheets["next"]["tick"]
    labels = range(sheet.output.width)
    expected = metrics.confusion_matrix(sheet.target, sheet.scores["network"].argmax(axis=1), labels=labels)

    assert matrix(section(page, "task-next"), 1) == expected.tolist()


def matrix(task: Element, which: int) -> list[list[int]]:
    """Return the counts of one of a task's confusion matrices."""
    table = [item for item in task.all("table") if item.attributes.get("class") == "confusion"][which]
    return [[int(str(cell.parts[0]).replace(",", "")) for cell in row.all("td")] for row in table.all("tr")[1:]]


def test_totals_of_an_amount_are_sums_over_all_test_rows(story: Story, page: Element) -> None:
    sheet = story.sheets["value"]["tick"]
    said, true = sheet.scores["network"].sum(), np.expm1(sheet.target).sum()

    rows = tables(section(page, "task-value"))["Totals"]

    assert rows[1] == ["network", f"{said:,.0f}", f"{said / true:.1%}"]


def test_the_first_rows_hold_what_a_count_finds(story: Story) -> None:
    positive = np.arange(1000) < 100
    rng = np.random.default_rng(0)
    scores = rng.permutation(1000) / 1000 + 0.3 * positive
    sheet = replace(
        story.sheets["churn"]["tick"],
        rows=np.arange(1000),
        target=positive.astype(float),
        scores=dict.fromkeys(("network", "linear", "prior"), scores[:, None]),
    )
    first = np.argsort(-scores)[:50]

    page = Page(html(replace(story, sheets={"churn": {"tick": sheet}})).decode()).root

    (rows,) = [table for caption, table in tables(page).items() if "highest scores" in caption]
    hits = int(positive[first].sum())
    assert rows[2] == ["first 5%", f"{hits / 50:.1%}", f"{hits / 100:.1%}", f"{hits / 100 / 0.05:.1f}"]


def test_a_task_that_was_not_measured_says_so(story: Story) -> None:
    rest = {name: sheets for name, sheets in story.sheets.items() if name != "loan"}
    measured = {name: kinds for name, kinds in story.manifest.metrics.items() if name != "loan"}
    manifest = msgspec.structs.replace(story.manifest, metrics=measured)

    page = Page(html(replace(story, sheets=rest, manifest=manifest)).decode()).root

    assert "nothing was measured" in section(page, "task-loan").text


def test_a_task_with_one_answer_among_the_test_rows_has_no_curves_but_its_calibration(story: Story) -> None:
    def only(sheet: Sheet) -> Sheet:
        return replace(sheet, target=np.zeros_like(sheet.target))

    sheets = {name: {kind: only(sheet) for kind, sheet in kinds.items()} for name, kinds in story.sheets.items()}

    page = Page(html(replace(story, sheets=sheets)).decode()).root

    shown = {item.text.split("  ")[0] for item in section(page, "task-churn").all("b") if item.text.isalpha()}
    assert "Calibration" in shown
    assert "ROC" not in shown
    assert "nan" not in page.text


def test_names_from_the_data_are_text_and_never_markup(story: Story) -> None:
    sheet = story.sheets["next"]["tick"]
    named = msgspec.structs.replace(sheet.output, classes=("<script>alert(1)</script>", '"', "&amp;", "d"))
    sheets = story.sheets | {"next": {"tick": replace(sheet, output=named)}}

    page = Page(html(replace(story, sheets=sheets)).decode()).root

    shown = tables(section(page, "task-next"))["The network, each class against all others"]
    assert [row[0] for row in shown[1:]] == list(named.classes)
    assert len(page.all("script")) == 1


def test_text_is_escaped_and_markup_is_not() -> None:
    assert joined("<b>", Html("<b>")) == "&lt;b&gt;<b>"
    assert tag("i", class_="a", aria_label='"<', hidden=None) == '<i class="a" aria-label="&quot;&lt;"></i>'


def test_the_data_is_counted(story: Story, page: Element, tiny_prepared: Prepared) -> None:
    log, spec = tiny_prepared.log, tiny_prepared.spec
    kinds = [spec.types[kind].name for kind in log.transactions.kind.tolist()]
    months = [str(np.datetime64(time, "ms"))[:7] for time in log.transactions.time_ms.tolist()]
    shown = tables(section(page, "data"))

    assert story.census.months == {month: months.count(month) for month in sorted(set(months))}
    assert {row[0]: row[3] for row in shown["Types of transactions"][1:]} == {
        item.name: f"{kinds.count(item.name):,}" for item in spec.types
    }
    people = {
        part: len(set(tiny_prepared.samples.rows.customer[getattr(tiny_prepared.split, part).any(axis=1)].tolist()))
        for part in ("train", "validation", "calibration", "test")
    }
    assert story.census.customers == people
    assert shown["Labelled rows of each task"][-1][1:] == [f"{count:,}" for count in people.values()]


def test_refused_records_are_told_by_reason(story: Story) -> None:
    data = story.manifest.data | {"refused": {"time": 3, "amount": 1200}}
    page = Page(html(replace(story, manifest=msgspec.structs.replace(story.manifest, data=data))).decode()).root

    assert tables(section(page, "data"))["Refused records"][1:] == [["amount", "1,200"], ["time", "3"]]
    assert "1,203 records were refused" in section(page, "data").text


def test_a_split_by_time_is_told(story: Story) -> None:
    page = Page(html(replace(story, census=replace(story.census, cut="2024-03-01"))).decode()).root

    assert "measured on what came from 2024-03-01 on" in section(page, "summary").text
    assert "at or after 2024-03-01" in section(page, "data").text


@pytest.mark.parametrize("label", sorted(RULES))
def test_every_rule_of_a_label_is_told_in_words_of_its_own(label: str) -> None:
    kinds = {"next_type": "multiclass", "top_type": "multiclass", "outflow": "value"}
    spec = spec_of('[[tasks]]\nname = "one"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 9')
    task = Task(name="one", kind=kinds.get(label, "binary"), label=label, horizon_days=9)  # type: ignore[arg-type]

    told = meaning(task, spec)

    assert told.question.endswith("?")
    assert label not in told.question + told.rule
    assert "9 days" in told.rule or label == "outcome_at"


def test_a_rule_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanings, "_RULES", {})
    spec = spec_of('[[tasks]]\nname = "one"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 9')

    assert meaning(spec.tasks[0], spec).rule == "As the rule inactive says, within 9 days."


def test_who_is_asked_and_who_has_no_label_is_told() -> None:
    spec = spec_of(
        '[[tasks]]\nname = "next"\nkind = "multiclass"\nlabel = "next_type"\nhorizon_days = 9\nrows = ["tick"]\n'
        'min_history_days = 1\nsettled = "when_told"\ntypes = ["rent", "shop"]\n'
        'eligible = [{ feature = "own_count", at_least = 5 }, { feature = "count_7d", at_least = 1, at_most = 3 }]'
    )

    told = meaning(spec.tasks[0], spec)

    assert told.rule == "The type of the next transaction of the types rent, shop, within 9 days."
    assert told.asked == (
        "Customers with own_count at least 5 (transactions that the customer initiated so far); "
        "count_7d at least 1 and at most 3."
    )
    assert told.masked == (
        "Customers who are not asked; rows less than 1 day after the customer's first transaction; rows whose 9 days "
        "reach beyond what is known of the customer, unless the answer came before; customers of whom no such "
        "transaction follows in that time; rows other than tick rows."
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2), from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def half_way(one: str, other: str) -> str:
    pairs = [(int(one[place : place + 2], 16), int(other[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{(a + b) // 2:02x}" for a, b in pairs)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_their_ground(colours: dict[str, str]) -> None:
    for ground in ("ground", "panel"):
        assert contrast(colours["ink"], colours[ground]) >= 7.0
        assert contrast(colours["soft"], colours[ground]) >= 4.5
        assert contrast(colours["network"], colours[ground]) >= 4.5  # links
        for line in colours.keys() - {"ground", "panel", "ink", "soft", "edge"}:
            assert contrast(colours[line], colours[ground]) >= 3.0
    assert contrast(colours["ink"], half_way(colours["network"], colours["panel"])) >= 4.5  # the deepest confusion


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_light_and_dark_name_the_same_colours_and_the_style_uses_no_other(story: Story) -> None:
    style = html(story).decode().partition("<style>")[2].partition("</style>")[0]

    assert LIGHT.keys() == DARK.keys()
    assert set(re.findall(r"var\(--(\w+)\)", style)) - {"heat"} == LIGHT.keys()
    assert re.findall(r"#[0-9a-f]{3,8}\b", style.replace(variables(), "")) == []


def test_every_output_of_the_spec_is_told(story: Story, page: Element) -> None:
    assert [item.output for kinds in story.sheets.values() for item in list(kinds.values())[:1]] == list(
        outputs_of(story.manifest.spec)
    )
    for task in story.manifest.spec.tasks:
        assert meaning(task, story.manifest.spec).question in section(page, f"task-{task.name}").text


def test_the_model_card_tells_tasks_measures_and_what_is_protected(story: Story) -> None:
    text = card(story.manifest).decode()
    assert text == card(story.manifest).decode()
    for task in story.manifest.spec.tasks:
        assert f"**{task.name}**" in text
        for kind, entry in story.manifest.metrics[task.name].items():
            line = next(
                line for line in text.splitlines() if line.startswith(f"| {task.name} | {kind} | {entry['rows']:,}")
            )
            name = "spearman" if task.kind == "value" else "log_loss" if task.kind == "multiclass" else "roc_auc"
            assert f"| {number(entry['network'].get(name))} |" in line
    assert "The data holds none of gender, age, risk_level" in text
    seen = tuple(msgspec.structs.replace(item, name="age") for item in story.manifest.spec.attributes[:1])
    spec = msgspec.structs.replace(story.manifest.spec, attributes=seen)
    assert "**age**: kept from the network" in card(msgspec.structs.replace(story.manifest, spec=spec)).decode()
