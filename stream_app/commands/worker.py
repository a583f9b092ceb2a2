"""``foretell worker``: score a share of the partitions until told to stop."""

import argparse
from typing import Any

from stream_app import settings

_EXAMPLE = """\
Kafka, Redis and all else come from FORETELL_* variables or the flags; FORETELL_BUNDLE or --bundle names the bundle. Up
to as many workers of one group as there are partitions share the work. SIGTERM stops a worker within ten seconds, with
all that it has taken committed.

example:
  foretell worker --bundle bank-bundle
  curl localhost:8080/health/ready
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "worker",
        help="score the stream of transactions",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    settings.add_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run a worker; return its exit code.

    Raises:
        ForetellError: it cannot be started as it is told to.
    """
    loaded = settings.from_args(args)
    _expect_free(loaded.web)
    from stream_app import app, kafka, logs
    from stream_app.worker import Worker

    logs.configure(loaded)
    kafka.quieten()
    code: Any = app.run(Worker(loaded))
    return int(code)


def _expect_free(web: str) -> None:
    """Raise if another process has the port of health and metrics: Faust would tell it by a traceback."""
    import socket

    from stream_app.settings import SettingsError, variable

    host, port = web.rsplit(":", 1)
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except OSError as error:
        message = (
            f"Expected to serve health and metrics at {web}, found: {error.strerror}; stop what is there or choose "
            f"another place with {variable('web')} or --web."
        )
        raise SettingsError(message) from error
