"""What a group began a partition with. It is committed with every offset, so that it outlives the store."""

from typing import NamedTuple

from aiokafka.structs import OffsetAndMetadata

_PARTS = ("bundle=", "first=", "partitions=")


class Beginning(NamedTuple):
    """Should the store lose everything, the log is taken in again from here on.

    Attributes:
        bundle: sha256 of the bundle; the activates in the log bring what came later.
        first: offset of the first record that was taken in.
        partitions: of the input topic then; with another number customers are in other partitions.
    """

    bundle: str
    first: int
    partitions: int

    def encode(self) -> str:
        """Return what is committed."""
        return ";".join(f"{name}{value}" for name, value in zip(_PARTS, self, strict=True))

    @classmethod
    def of(cls, committed: OffsetAndMetadata | None) -> "Beginning | None":
        """Return what was committed; None where nothing was, or where an operator has set the offset."""
        texts = committed.metadata.split(";") if committed is not None else []
        if len(texts) != len(_PARTS) or not all(map(str.startswith, texts, _PARTS)):
            return None
        bundle, first, partitions = (text.removeprefix(name) for text, name in zip(texts, _PARTS, strict=True))
        return cls(bundle, int(first), int(partitions))
