"""A reader sees the whole or nothing, whatever goes wrong while it is written."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from schemas.atomic import atomic_file, atomic_folder, writing
from schemas.errors import OutputError


@contextmanager
def full_disk(most_bytes: int = 4096) -> Iterator[None]:
    """Let no file grow beyond ``most_bytes``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(place: Path) -> None:
    """Write something into what either context yields."""
    (place / "a" if place.is_dir() else place).write_text("new")


def fail(atomic: "Atomic", place: Path, error: BaseException) -> None:
    """Fail after something was written."""
    with atomic(place) as part:
        fill(part)
        raise error


EITHER = pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
Atomic = Callable[[Path], AbstractContextManager[Path]]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "out") as part:
        part.write_text("new")
        assert not (tmp_path / "out").exists()
    assert tree(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "new"


def test_a_folder_appears_at_the_end_with_all_that_is_in_it(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as part:
        (part / "deep").mkdir()
        (part / "deep" / "file").write_text("new")
        assert not (tmp_path / "out").exists()
    assert tree(tmp_path) == ["out", "out/deep", "out/deep/file"]


@EITHER
def test_missing_folders_above_are_made(atomic: Atomic, tmp_path: Path) -> None:
    with atomic(tmp_path / "a" / "b" / "out") as part:
        fill(part)
    assert (tmp_path / "a" / "b" / "out").exists()


@EITHER
def test_what_was_there_is_replaced(atomic: Atomic, tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic(tmp_path / "out") as part:
            (part / text if part.is_dir() else part).write_text(text)
    assert tree(tmp_path) in (["out"], ["out", "out/new"])


@EITHER
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    atomic: Atomic, error: type[BaseException], tmp_path: Path
) -> None:
    with atomic(tmp_path / "out") as part:
        fill(part)
    before = tree(tmp_path)
    with pytest.raises(error):
        fail(atomic, tmp_path / "out", error())
    assert tree(tmp_path) == before


@EITHER
def test_a_failure_where_nothing_was_leaves_nothing(atomic: Atomic, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="why"):
        fail(atomic, tmp_path / "out", ValueError("why"))
    assert tree(tmp_path) == []


@EITHER
def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(atomic: Atomic, tmp_path: Path) -> None:
    place = tmp_path / "out"
    with pytest.raises(OutputError) as caught, full_disk(), atomic(place) as part:
        (part / "a" if part.is_dir() else part).write_bytes(b"x" * 100_000)
    assert str(caught.value) == (
        f"Expected to write {place}, found: File too large; nothing was left there. "
        "Free space or choose another place with --out."
    )
    assert tree(tmp_path) == []


def test_the_place_is_tried_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "out", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="Expected"), atomic_file(place):
            pytest.fail("the work has begun")
    for place in (tmp_path / "file" / "out", tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="Expected"), atomic_folder(place):
            pytest.fail("the work has begun")
    assert tree(tmp_path) == ["file", "folder"]


def test_a_folder_is_no_place_for_a_file_nor_a_file_for_a_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=rf"^Expected a file or nothing at {tmp_path}, found a folder; choose another"),
        atomic_file(tmp_path),
    ):
        pass
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(OutputError, match=r"^Expected a folder or nothing at .*, found a file; choose another"),
        atomic_folder(tmp_path / "file"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_a_device_or_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (Path(os.devnull), tmp_path / "pipe"):
        with pytest.raises(OutputError, match="found a device or a pipe"), atomic_file(place):
            pass
    assert Path(os.devnull).is_char_device()
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("old")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "folder").symlink_to("real")
    with atomic_file(tmp_path / "link") as part:
        fill(part)
    assert (tmp_path / "real" / "file").read_text() == "new"
    with atomic_folder(tmp_path / "folder") as part:
        fill(part)
    assert tree(tmp_path) == ["folder", "link", "real", "real/a"]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder").is_symlink()


def test_the_present_folder_and_a_relative_path_are_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with atomic_file(Path("out")) as part:
        fill(part)
    with atomic_folder(Path("sub/../folder")) as part:
        fill(part)
    assert set(tree(tmp_path)) >= {"out", "folder/a"}
    with pytest.raises(OutputError, match=r"Expected a file or nothing at \."), atomic_file(Path()):
        pass


def test_a_folder_that_cannot_be_moved_into_place_gives_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_folder(tmp_path / "out") as part:
        fill(part)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith("part"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="No space left on device"), atomic_folder(tmp_path / "out") as part:
        (part / "b").touch()
    assert tree(tmp_path) == ["out", "out/a"]


def test_an_error_without_a_number_is_told_by_its_words() -> None:
    with pytest.raises(OutputError, match="found: strange;"), writing(Path("x")):
        raise OSError("strange")  # noqa: EM101  (any error)


def test_a_reader_who_has_gone_is_no_failure_to_write() -> None:
    with pytest.raises(BrokenPipeError), writing(Path("x")):
        raise BrokenPipeError
