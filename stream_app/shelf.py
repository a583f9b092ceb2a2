"""The bundles that a worker or a replay has at hand, by their sha256, and their networks made ready."""

from pathlib import Path
from threading import RLock

from schemas.errors import BundleError
from stream_app import bundle as bundles
from stream_app.bundle import MANIFEST, SHORT, Bundle
from stream_app.steps.predict import Explainer, Predictor


class Shelf:
    """A bundle to start with, and a folder of bundles that may be activated."""

    def __init__(self, first: Bundle, folder: Path | None = None) -> None:
        """Name the bundle to start with, and the folder whose sub-folders are bundles (by default where it stands)."""
        self.first = first
        self.folder = folder or first.path.resolve().parent
        self._known = {first.sha256: first}
        self._predictors: dict[str, Predictor] = {}
        self._explainers: dict[str, Explainer | None] = {}
        self._lock = RLock()  # partitions are worked on side by side

    def find(self, sha256: str) -> Bundle | None:
        """Return the bundle of that sha256, looking again into the folder where it is not known yet."""
        with self._lock:
            if sha256 not in self._known:
                for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
                    try:
                        found = bundles.load(path.parent)
                    except BundleError:  # half copied, or of another version: not the one we look for
                        continue
                    self._known[found.sha256] = found
            return self._known.get(sha256)

    def require(self, sha256: str, present: Bundle, place: str) -> Bundle:
        """Return the bundle that an activate at ``place`` in the log names, if it may follow the present one.

        Raises:
            BundleError: it is not here, or rows would mean something else under it.
        """
        found = self.find(sha256)
        if found is None:
            known = ", ".join(sorted(name[:SHORT] for name in self._known))
            message = (
                f"Expected the bundle {sha256}, which {place} activates, in {self.folder}, found only {known}; "
                "put its folder there."
            )
            raise BundleError(message)
        if found.manifest.layout != present.manifest.layout:
            message = (
                f"Expected state layout {present.manifest.layout} to stay, found {found.manifest.layout} in the bundle "
                f"{found.path}, which {place} activates: its rows mean something else; start it with another "
                "FORETELL_GROUP, which takes the log in anew."
            )
            raise BundleError(message)
        return found

    def predictor(self, bundle: Bundle) -> Predictor:
        """Return the network of a bundle, loaded once."""
        with self._lock:
            if bundle.sha256 not in self._predictors:
                self._predictors[bundle.sha256] = Predictor.of(bundle)
            return self._predictors[bundle.sha256]

    def explainer(self, bundle: Bundle) -> Explainer | None:
        """Return what explains a bundle's network, loaded once; None where it has nothing of the kind."""
        with self._lock:
            if bundle.sha256 not in self._explainers:
                self._explainers[bundle.sha256] = Explainer.of(bundle)
            return self._explainers[bundle.sha256]
