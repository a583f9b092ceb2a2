"""Reasons in a portrait: what moved each answer, in words."""

import msgspec
import pytest

from schemas import codec
from schemas.portrait import Portrait
from stream_app import bundle as bundles
from stream_app.bundle import MODEL, REASONS, Bundle
from stream_app.cli import main
from stream_app.offline.log import open_log
from stream_app.portrait.sources import from_log
from stream_app.portrait.words import words
from stream_app.shelf import Shelf
from tests.unit.conftest import Tiny
from tests.unit.test_reasons import explained

__all__ = ["explained"]  # a fixture


@pytest.fixture(scope="module")
def customer(tiny_bundle: Tiny) -> str:
    column: str = tiny_bundle.folder.transactions["customer_id"][-1].as_py()
    return column


def drawn(tiny: Tiny, bundle: Bundle, customer: str, language: str | None = None) -> Portrait:
    return from_log(open_log(tiny.folder.path), Shelf(bundle), customer, language=language)


def test_each_answer_has_its_reasons_the_largest_first(tiny_bundle: Tiny, explained: Bundle, customer: str) -> None:
    found = drawn(tiny_bundle, explained, customer)
    asked = [task for task in found.tasks.values() if task.score.eligible]
    assert asked
    for task in asked:
        sizes = [abs(reason.contribution) for reason in task.reasons]
        assert 0 < len(sizes) <= explained.spec.reasons.top
        assert sizes == sorted(sizes, reverse=True)
    assert all(not task.reasons for task in found.tasks.values() if not task.score.eligible)
    assert codec.encode(found) == codec.encode(drawn(tiny_bundle, explained, customer))


@pytest.mark.parametrize(
    ("language", "up", "down"), [("en", "What raises it", "What lowers it"), ("zh", "推高因素", "拉低因素")]
)
def test_they_are_told_with_the_answer(
    tiny_bundle: Tiny, explained: Bundle, customer: str, language: str, up: str, down: str
) -> None:
    found = drawn(tiny_bundle, explained, customer, language)
    told = words(found, "zh" if language == "zh" else "en")
    for task in found.tasks.values():
        for reason in task.reasons if task.score.eligible else ():
            sign = up if reason.contribution > 0 else down
            assert any(sign in line and reason.text in line.split(sign)[1] for line in told)


def test_a_bundle_that_cannot_explain_has_a_portrait_without(
    tiny_bundle: Tiny, explained: Bundle, customer: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bundles")
    plain = bundles.write(folder / "plain", explained.manifest, {MODEL: explained.model})
    spec = explained.manifest.spec
    none = msgspec.structs.replace(spec, reasons=msgspec.structs.replace(spec.reasons, top=0))
    manifest = msgspec.structs.replace(explained.manifest, spec=none)
    files = {MODEL: explained.model, REASONS: (explained.path / REASONS).read_bytes()}
    for bundle in (plain, bundles.write(folder / "none", manifest, files)):
        found = drawn(tiny_bundle, bundle, customer)
        assert not any(task.reasons for task in found.tasks.values())
        assert not any("What raises it" in line for line in words(found, "en"))


def test_the_command_tells_them(
    tiny_bundle: Tiny, explained: Bundle, customer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [customer, "--bundle", str(explained.path), "--log", str(tiny_bundle.folder.path), "--language", "en"]
    assert main(["portrait", *given]) == 0
    assert "What " in capsys.readouterr().out
