"""What a report tells."""

from dataclasses import dataclass

from stream_app.bundle import Manifest
from training.evaluate import Sheets
from training.history import History
from training.report.census import Census


@dataclass(frozen=True)
class Story:
    """What a training found.

    Attributes:
        manifest: of the bundle, with all that was measured.
        history: how training went.
        sheets: the answers at the test rows that was measured on: pictures are drawn from the same.
        census: what the data holds.
    """

    manifest: Manifest
    history: History
    sheets: Sheets
    census: Census
