"""Which store the settings name."""

from urllib.parse import urlsplit

from stream_app.settings import Settings
from stream_app.store.memory import MemoryStores
from stream_app.store.port import Stores
from stream_app.store.redis import RedisStores, client


def connect(settings: Settings) -> Stores:
    """Return the stores that ``FORETELL_REDIS`` names; nothing is asked of them yet.

    Raises:
        SettingsError: the certificates to trust cannot be read.
    """
    if urlsplit(settings.redis).scheme == "memory":
        return MemoryStores()
    return RedisStores(client(settings), settings.group)
