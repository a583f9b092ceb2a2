"""The bundles of the workers that a command looks after."""

from pathlib import Path

from stream_app import bundle
from stream_app.settings import Settings, SettingsError, variable
from stream_app.shelf import Shelf


def shelf_of(settings: Settings) -> Shelf:
    """Return the bundle that the workers were started with, and the folder of those that may follow.

    Raises:
        SettingsError: no bundle is named.
        BundleError: it cannot be used.
    """
    if not settings.bundle:
        message = (
            f"Expected the folder of a bundle in --bundle or {variable('bundle')}, found none; name the one that the "
            "workers were started with."
        )
        raise SettingsError(message)
    return Shelf(bundle.load(Path(settings.bundle)), Path(settings.bundles) if settings.bundles else None)
