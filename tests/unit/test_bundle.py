"""A bundle is taken whole and unchanged, or refused with what to do."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from schemas import spec_file
from schemas.errors import BundleError
from stream_app import bundle
from stream_app.bundle import Bundle
from tests.bundles import random_bundle

BANK = spec_file.bank()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("made") / "bundle", BANK)


@pytest.fixture
def copy(made: Bundle, tmp_path: Path) -> Path:
    """Copy it to a place where a test may spoil it."""
    return Path(shutil.copytree(made.path, tmp_path / "copy"))


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        bundle.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("Expected ")
    assert str(path) in message
    return message


def test_what_was_written_is_loaded(made: Bundle) -> None:
    loaded = bundle.load(made.path)
    assert loaded.manifest == made.manifest
    assert (loaded.spec, loaded.short) == (BANK, made.sha256[:16])
    assert set(loaded.manifest.files) == {"model.onnx"}


def test_the_same_content_has_the_same_sha256_anywhere(made: Bundle, copy: Path, tmp_path: Path) -> None:
    again = random_bundle(tmp_path / "again", BANK)
    assert made.sha256 == again.sha256 == bundle.load(copy).sha256


def test_other_content_has_another_sha256(made: Bundle, tmp_path: Path) -> None:
    assert random_bundle(tmp_path / "other", BANK, seed=1).sha256 != made.sha256


def test_a_bundle_replaces_the_one_that_was_there(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle", BANK)
    second = random_bundle(tmp_path / "bundle", BANK, seed=1)
    assert bundle.load(tmp_path / "bundle").sha256 == second.sha256
    assert [item.name for item in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"Expected {name} in the bundle" in (message := refusal(copy))
    assert "No such file" in message
    assert message.endswith("name a folder that `foretell train` wrote.")


def test_a_missing_folder_and_a_file_in_its_place_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal(tmp_path / "file")


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
@pytest.mark.parametrize("kept", [0, 1, 0.5, -1])
def test_a_truncated_file_is_refused(copy: Path, name: str, kept: float) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    assert refusal(copy).endswith("again.")


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_one_changed_byte_anywhere_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    places = {*range(0, len(content), max(1, len(content) // 100)), len(content) - 1}
    for place in sorted(places):
        for flip in (1, 0x80):
            content[place] ^= flip
            (copy / name).write_bytes(content)
            refusal(copy)
            content[place] ^= flip
    (copy / name).write_bytes(content)
    bundle.load(copy)


@pytest.mark.parametrize("extra", [b" ", b"\n", b"{}", b"\0"])
@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_an_added_byte_is_refused(copy: Path, name: str, extra: bytes) -> None:
    with (copy / name).open("ab") as file:
        file.write(extra)
    assert refusal(copy).endswith("again.")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"x"])
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    assert "Expected a bundle's manifest at " in refusal(copy)


def test_a_manifest_without_seal_is_refused(copy: Path) -> None:
    fields = json.loads((copy / "manifest.json").read_bytes())
    del fields["seal"]
    (copy / "manifest.json").write_text(json.dumps(fields))
    assert "of manifest.json in the bundle" in refusal(copy)


def test_another_model_under_the_same_manifest_is_refused(copy: Path, tmp_path: Path) -> None:
    other = random_bundle(tmp_path / "other", BANK, seed=1)
    shutil.copy(other.path / "model.onnx", copy / "model.onnx")
    assert "of model.onnx in the bundle" in refusal(copy)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": 2}, "Expected bundle format 1 at "),
        ({"layout": "00000000"}, "found 00000000: it was trained with another version of Foretell"),
        ({"outputs": ()}, "Expected the outputs of the spec's tasks"),
    ],
)
def test_another_format_layout_or_outputs_are_refused(
    made: Bundle, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    manifest = msgspec.structs.replace(made.manifest, **fields)
    with pytest.raises(BundleError, match=words):
        bundle.write(tmp_path / "bundle", manifest, {"model.onnx": made.model})
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_knows_its_layout_and_model(made: Bundle) -> None:
    assert made.rolling.layout.hash == made.manifest.layout
    assert made.manifest.feature_width == made.rolling.layout.feature_width
    assert made.manifest.outputs == bundle.outputs_of(BANK)
    assert made.model == (made.path / "model.onnx").read_bytes()
