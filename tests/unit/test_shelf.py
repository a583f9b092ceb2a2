"""The bundles at hand: found by their sha256, refused in one sentence, loaded once."""

import shutil
from pathlib import Path

import msgspec
import pytest

from schemas import spec_file
from schemas.errors import BundleError
from stream_app.bundle import MANIFEST, MODEL, Bundle
from stream_app.shelf import Shelf
from tests.bundles import random_bundle

PLACE = "transactions-0-7"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Make a bundle in a folder for bundles."""
    return random_bundle(tmp_path / "bundles" / "first", spec_file.bank())


@pytest.fixture
def other(bundle: Bundle, tmp_path: Path) -> Bundle:
    """Make another bundle of the same layout, elsewhere."""
    return random_bundle(tmp_path / "elsewhere", bundle.spec, seed=1)


def test_the_first_bundle_is_there_without_a_look_at_the_folder(bundle: Bundle) -> None:
    shelf = Shelf(bundle)
    shutil.rmtree(bundle.path)
    assert shelf.find(bundle.sha256) is bundle


def test_bundles_stand_beside_the_first_if_no_folder_is_named(bundle: Bundle, other: Bundle) -> None:
    assert Shelf(bundle).find(other.sha256) is None
    shutil.copytree(other.path, bundle.path.parent / "second")
    assert Shelf(bundle).find(other.sha256) is not None


def test_a_folder_that_is_named_is_looked_into_instead(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    shutil.copytree(other.path, tmp_path / "named" / "second")
    found = Shelf(bundle, tmp_path / "named").find(other.sha256)
    assert found is not None
    assert found.path == tmp_path / "named" / "second"


def test_a_bundle_that_arrives_later_is_found(bundle: Bundle, other: Bundle) -> None:
    shelf = Shelf(bundle)
    assert shelf.find(other.sha256) is None
    shutil.copytree(other.path, bundle.path.parent / "second")
    assert shelf.require(other.sha256, bundle, PLACE).sha256 == other.sha256


@pytest.mark.parametrize("missing", [MODEL, MANIFEST])
def test_a_bundle_that_is_half_copied_is_not_there_yet(bundle: Bundle, other: Bundle, missing: str) -> None:
    shelf, place = Shelf(bundle), bundle.path.parent / "second"
    shutil.copytree(other.path, place)
    content = (place / missing).read_bytes()
    (place / missing).write_bytes(content[: len(content) // 2])
    assert shelf.find(other.sha256) is None
    (place / missing).write_bytes(content)
    assert shelf.find(other.sha256) is not None


def test_a_bundle_that_is_not_there_is_asked_for(bundle: Bundle, other: Bundle) -> None:
    with pytest.raises(BundleError) as refused:
        Shelf(bundle).require(other.sha256, bundle, PLACE)
    assert str(refused.value) == (
        f"Expected the bundle {other.sha256}, which {PLACE} activates, in {bundle.path.parent}, found only "
        f"{bundle.short}; put its folder there."
    )


def test_a_bundle_of_another_layout_may_not_follow(bundle: Bundle) -> None:
    spec = msgspec.structs.replace(bundle.spec, rules=())
    stranger = random_bundle(bundle.path.parent / "stranger", spec)
    assert stranger.manifest.layout != bundle.manifest.layout
    with pytest.raises(BundleError) as refused:
        Shelf(bundle).require(stranger.sha256, bundle, PLACE)
    assert str(refused.value) == (
        f"Expected state layout {bundle.manifest.layout} to stay, found {stranger.manifest.layout} in the bundle "
        f"{stranger.path}, which {PLACE} activates: its rows mean something else; start it with another "
        "FORETELL_GROUP, which takes the log in anew."
    )


def test_a_network_is_loaded_once(bundle: Bundle, other: Bundle) -> None:
    shelf = Shelf(bundle)
    assert shelf.predictor(bundle) is shelf.predictor(bundle)
    assert shelf.predictor(other) is not shelf.predictor(bundle)
