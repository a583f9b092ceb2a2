"""What goes wrong in the engine, and what is done about it.

RefusedError        the operator must act: the partition is not ready, says why, and looks again now and then
OutOfStepError      what was fetched does not continue the position: open again
StoreError          (stream_app.store.port) as RefusedError
LostWritesError     (stream_app.store.port) the store is not as we left it: open again, from what it has
KafkaError          infrastructure: back off, open again
anything else       open again; three times at one position: find the record and make it a dead letter
"""

from schemas.errors import ForetellError


class RefusedError(ForetellError):
    """A partition that must not be worked on before the operator has acted."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        """Say why, and at which record of the log if it is one that cannot be passed."""
        super().__init__(message)
        self.offset = offset


class OutOfStepError(Exception):
    """A chunk was lost between source and engine, or the log no longer has what comes next."""
