"""A real Apache Kafka for tests: one process with broker and controller, on free ports, with a folder of its own."""

import asyncio
import base64
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from stream_app.embedded import ports
from tests.kit import access, java, records
from tests.kit.access import Operation, Resource
from tests.kit.broker import MECHANISM, Options, Ports, properties
from tests.kit.certificates import Certificates
from tests.kit.processes import Ended, Process
from tests.kit.records import Message, Record

_START_S: Final = 90.0
"""A start takes 3 to 5 s; on a machine with much else to do up to 45 s were seen."""
_STOP_S: Final = 30.0


class Kafka:
    """A running Kafka. Its methods block: from a coroutine call them in a thread, or use tests/kit/records.py."""

    def __init__(self, folder: Path, options: Options) -> None:
        """Take a folder that is its own; ``Kafka.start`` makes a running one."""
        self.folder = folder
        self.options = options
        self.ports = Ports()
        self.certificates: Certificates | None = None
        self._file = folder / "kafka.properties"
        self._process = Process(java.command("kafka.Kafka", self._file), folder / "kafka.log", {}, folder)

    @classmethod
    def start(cls, folder: Path, **options: Any) -> Self:  # noqa: ANN401  (the fields of Options)
        """Make a new Kafka in a folder and wait until it answers.

        Args:
            folder: made where missing; nothing of another Kafka may be in it.
            options: the fields of ``Options``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        kafka = cls(folder, Options(**options))
        kafka._format()
        with ExitStack() as undo:
            undo.callback(kafka.kill)
            kafka._launch()
            if kafka.options.authorizer:
                asyncio.run(access.allow_all(kafka.internal))
            undo.pop_all()
        return kafka

    @property
    def bootstrap(self) -> str:
        """Where clients come in, host:port."""
        return f"{ports.HOST}:{self.ports.client}"

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process.running

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def internal(self) -> dict[str, Any]:
        """What an aiokafka client needs to come in by the listener that has all rights."""
        return {"bootstrap_servers": f"{ports.HOST}:{self.ports.internal}"}

    def client(self, user: str = "alice", password: str | None = None) -> dict[str, Any]:
        """Return what an aiokafka client needs to come in as a user; without SASL the user does not matter."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.options.security}
        if self.certificates:
            options["ssl_context"] = create_ssl_context(cafile=str(self.certificates.ca))
        if self.options.sasl:
            password = self.options.users[user] if password is None else password
            options |= {"sasl_plain_username": user, "sasl_plain_password": password, "sasl_mechanism": MECHANISM}
        return options

    def environment(self, user: str = "alice") -> dict[str, str]:
        """Return the ``FORETELL_…`` variables of a client that comes in as a user."""
        found = {"FORETELL_KAFKA": self.bootstrap, "FORETELL_KAFKA_SECURITY": self.options.security}
        if self.certificates:
            found["FORETELL_KAFKA_CA"] = str(self.certificates.ca)
        if self.options.sasl:
            found["FORETELL_KAFKA_SASL"] = MECHANISM
            found["FORETELL_KAFKA_USER"] = user
            found["FORETELL_KAFKA_PASSWORD"] = self.options.users[user]
        return found

    def stop(self) -> Ended:
        """Stop it in good order (SIGTERM); return how long that took."""
        self._process.resume()
        return self._process.terminate(_STOP_S)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self._process.kill()

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self._process.pause()

    def resume(self) -> None:
        """Let it go on after a pause (SIGCONT)."""
        self._process.resume()

    def restart(self) -> None:
        """Start it again on the same ports and data, stopping it before where it runs."""
        if self.running:
            self.stop()
        self._launch()

    def remove(self) -> None:
        """Kill it and delete its data; its log stays."""
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def make_topic(self, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        """Create a topic."""
        asyncio.run(records.make_topic(self.internal, name, partitions, configs))

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        asyncio.run(records.delete_topic(self.internal, name))

    def topics(self) -> dict[str, int]:
        """Return how many partitions each topic has."""
        return asyncio.run(records.topics(self.internal))

    def produce(self, topic: str, messages: Iterable[Message], **options: Any) -> None:  # noqa: ANN401
        """Write records; the options are those of ``records.produce``."""
        asyncio.run(records.produce(self.internal, topic, messages, **options))

    def read(self, topic: str, **options: Any) -> list[Record]:  # noqa: ANN401
        """Return what stands in a topic; the options are those of ``records.read``."""
        return asyncio.run(records.read(self.internal, topic, **options))

    def deny(self, user: str, name: str, operation: Operation, resource: Resource = Resource.TOPIC) -> None:
        """Deny a user an operation on a topic, or on another resource; needs the authorizer."""
        asyncio.run(access.deny(self.internal, user, resource, name, operation))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def _format(self) -> None:
        pair = self.folder / "pair.pem"  # Kafka wants key and certificate in one file
        if self.options.tls:
            made = self.certificates = Certificates.make(self.folder / "tls")
            pair.write_text(made.key.read_text(encoding="utf-8") + made.certificate.read_text(encoding="utf-8"))
        settings = properties(self.options, self.ports, self.folder / "data", pair)
        self._file.write_text("".join(f"{name}={value}\n" for name, value in settings), encoding="utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        users = self.options.users if self.options.sasl else {}
        scram = [f"--add-scram={MECHANISM}=[name={name},password={password}]" for name, password in users.items()]
        tool = java.command(
            "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={self._file}", *scram
        )
        done = subprocess.run(tool, capture_output=True, text=True, check=False, timeout=_START_S)
        assert done.returncode == 0, f"Kafka's storage tool refused:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def _launch(self) -> None:
        deadline = time.monotonic() + _START_S
        inside, outside = self.ports.internal, self.ports.client
        opened = "Kafka to open its ports"
        self._process.start()
        self._process.wait_until(lambda: ports.answers(inside) and ports.answers(outside), opened, _START_S)
        self._process.wait_until(self._answers, "Kafka to answer", deadline - time.monotonic())

    def _answers(self) -> bool:
        try:
            self.topics()
        except (KafkaError, OSError):
            return False
        return True
