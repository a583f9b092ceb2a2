"""Puts the parts of a report together as one HTML page."""

import base64
import hashlib
from importlib import resources
from typing import Final

from training.report.course import course
from training.report.markup import Html, tag
from training.report.palette import variables
from training.report.sources import bundle_section, data_section
from training.report.story import Story
from training.report.summary import summary
from training.report.task import place, task_section

_SCRIPT: Final = Html(
    "const root=document.documentElement,dark=matchMedia('(prefers-color-scheme:dark)');"
    "document.querySelector('button').onclick=()=>{"
    "const now=root.dataset.theme||(dark.matches?'dark':'light');"
    "root.dataset.theme=now==='dark'?'light':'dark'}"
)
"""All that moves: the button that changes light and dark."""


def html(story: Story) -> bytes:
    """Return the report: the same story gives the same bytes."""
    spec = story.manifest.spec
    title = f"Foretell: {spec.name}"
    places = [("summary", "summary"), *((task.name, place(task)) for task in spec.tasks)]
    places += [(name, name) for name in ("training", "data", "bundle")]
    parts = [
        summary(story),
        *(task_section(story, task) for task in spec.tasks),
        course(story.history, [task.name for task in spec.tasks]),
        data_section(story),
        bundle_section(story),
    ]
    body = tag(
        "body",
        tag("header", tag("h1", title, " ", tag("small", "training report"))),
        _menu(places),
        tag("main", *parts),
        tag("script", _SCRIPT),
    )
    return ("<!doctype html>\n" + tag("html", _head(title), body, lang="en") + "\n").encode()


def _head(title: str) -> Html:
    css = (resources.files(__package__) / "page.css").read_text("utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(variables() + css)),
    )


def _policy() -> str:
    """Return what the browser lets the page do: use its own style and its one script, and load nothing."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"


def _menu(places: list[tuple[str, str]]) -> Html:
    links = [tag("li", tag("a", name, href=f"#{at}")) for name, at in places]
    button = tag("button", "light / dark", type="button")
    return tag("nav", tag("div", tag("ul", *links), button), aria_label="Parts of the report")
