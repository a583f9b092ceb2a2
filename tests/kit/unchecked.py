"""``foretell`` that does not look at the marker when it reads: what must be seen to go wrong."""

import sys

from stream_app.cli import main
from stream_app.engine.work import PartitionWork

if __name__ == "__main__":
    PartitionWork._check = lambda self, found, before: None  # type: ignore[method-assign]  # noqa: ARG005, SLF001
    sys.exit(main())
