"""The network of the test kit passes everything on, until it is cut, held up or led elsewhere."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stream_app.embedded import ports
from tests.kit.proxy import Proxy

PATIENCE_S = 5.0
MOMENT_S = 0.2


class Echo:
    """A server that answers each line with its name and the line."""

    def __init__(self, name: str) -> None:
        self.port, self._name = ports.free(), name.encode()
        self._listener = socket.create_server((ports.HOST, self.port))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    connection.sendall(self._name + b" " + line)
        except OSError:
            return


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo("first")
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as found:
        yield found


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((ports.HOST, proxy.port), timeout=PATIENCE_S)


def ask(client: socket.socket, line: bytes, seconds: float = PATIENCE_S) -> bytes:
    """Return the answer to a line, nothing where the connection was broken."""
    client.settimeout(seconds)
    try:
        client.sendall(line + b"\n")
        found = b""
        while not found.endswith(b"\n"):
            part = client.recv(1 << 20)
            if not part:
                return b""
            found += part
    except (ConnectionError, BrokenPipeError):
        return b""
    return found.removesuffix(b"\n")


def test_what_is_sent_arrives_and_is_answered_whatever_its_size(proxy: Proxy) -> None:
    with connected(proxy) as client, connected(proxy) as other:
        for text in (b"a", b"b" * 3_000_000):
            assert ask(client, text) == b"first " + text
            assert ask(other, text) == b"first " + text


def test_a_cut_breaks_connections_and_new_ones_until_it_is_healed(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"a") == b"first a"
        proxy.cut()
        assert ask(client, b"b") == b""
        with connected(proxy) as during:
            assert ask(during, b"c") == b""
        proxy.heal()
        assert ask(client, b"d") == b""
        with connected(proxy) as after:
            assert ask(after, b"e") == b"first e"


def test_while_it_is_held_nothing_passes_and_nothing_is_lost(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"a") == b"first a"
        proxy.hold()
        with pytest.raises(TimeoutError):
            ask(client, b"b", MOMENT_S)
        with connected(proxy) as during:
            with pytest.raises(TimeoutError):
                ask(during, b"c", MOMENT_S)
            proxy.heal()
            assert ask(during, b"d").startswith(b"first c")
        assert ask(client, b"e").startswith(b"first b")


def test_led_elsewhere_connections_break_and_new_ones_reach_the_other_server(proxy: Proxy) -> None:
    other = Echo("second")
    try:
        with connected(proxy) as client:
            assert ask(client, b"a") == b"first a"
            proxy.lead_to(other.port)
            assert ask(client, b"b") == b""
        with connected(proxy) as client:
            assert ask(client, b"c") == b"second c"
        proxy.lead_to(ports.free())
        with connected(proxy) as client:
            assert ask(client, b"d") == b""
    finally:
        other.close()


def test_a_server_that_closes_is_seen_to_close(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        assert ask(client, b"a") == b"first a"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    echo.close()
    with connected(proxy) as client:
        assert ask(client, b"b") == b""
