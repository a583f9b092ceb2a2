"""What there is to say about this machine: bundles, and the port for health and metrics."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import BundleError
from stream_app import bundle
from stream_app.checkup.finding import Finding, fail, ok, warn
from stream_app.settings import Settings, variable
from stream_app.shelf import Shelf


def place_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said about this machine."""
    yield from _of_bundle(settings)
    yield _of_port(settings.web)


def _of_bundle(settings: Settings) -> Iterator[Finding]:
    if not settings.bundle:
        yield warn(
            "bundle",
            f"Expected the folder of a bundle in {variable('bundle')} or --bundle, found none; a worker needs one.",
        )
        return
    try:
        loaded = bundle.load(Path(settings.bundle))
    except BundleError as error:
        yield fail("bundle", str(error))
        return
    width = loaded.rolling.layout.row_width * 4
    yield ok("bundle", f"{loaded.short}, state layout {loaded.manifest.layout}, {width:,} bytes a customer")
    if settings.bundles and not Path(settings.bundles).is_dir():
        yield fail(
            "bundles",
            f"Expected a folder of bundles at {settings.bundles} ({variable('bundles')}), found none; make it or "
            "correct the path.",
        )
        return
    shelf = Shelf(loaded, Path(settings.bundles) if settings.bundles else None)
    folders = sorted(path.parent for path in shelf.folder.glob(f"*/{bundle.MANIFEST}"))
    yield ok("bundles", f"{len(folders)} in {shelf.folder} for `foretell activate`")


def _of_port(web: str) -> Finding:
    host, port = web.rsplit(":", 1)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            trial.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return warn(
                "web",
                f"Expected {web} to be free, found it in use; where it is no worker of yours, choose another "
                f"{variable('web')}.",
            )
        reason = error.strerror or str(error)
        return fail("web", f"Expected to be able to listen at {web}, found: {reason}; correct {variable('web')}.")
    return ok("web", f"{web} is free for health and metrics")
