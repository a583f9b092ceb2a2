"""Free ports of this machine's loopback for servers that are started, stopped and started again."""

import random
import socket
from contextlib import closing
from typing import Final

HOST: Final = "127.0.0.1"
_RANGE: Final = range(20_000, 32_000)
"""Below what systems give to outgoing connections, so that no client takes a server's port while that is down."""
_TRIES: Final = 1_000
_given: set[int] = set()
_choice = random.SystemRandom()


def free() -> int:
    """Return a port that nobody listens on and that this process was not given before.

    Raises:
        OSError: there is none.
    """
    for _ in range(_TRIES):
        port = _choice.choice(_RANGE)
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    message = (
        f"Expected a free port from {_RANGE.start} to {_RANGE.stop - 1}, found none in {_TRIES} tries; stop some "
        "servers."
    )
    raise OSError(message)


def answers(port: int) -> bool:
    """Return whether somebody accepts connections on a port."""
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _can_bind(port: int) -> bool:
    with closing(socket.socket()) as listener:
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
