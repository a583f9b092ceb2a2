"""What scores one partition: a bundle made ready, and the partition's rows."""

from dataclasses import dataclass, field

from schemas.messages import Alert, Tick
from stream_app.bundle import Bundle
from stream_app.residents import Residents
from stream_app.shelf import Shelf
from stream_app.steps import rows
from stream_app.steps.alerts import Rules
from stream_app.steps.decode import Vocabulary
from stream_app.steps.encode import DeadLetter, ScoreEncoder, Scores
from stream_app.steps.reasons import Reasoner
from stream_app.steps.stages import Batch, Chunk, Control, Decoded


@dataclass
class Emission:
    """What leaves for a chunk.

    Attributes:
        scores: in log order, one part for each batch.
        alerts: in log order.
        dead_letters: in log order.
        unknown_types: how many transactions had a type that the spec does not know.
        unknown_values: how many attributes or values of customer records the spec does not know.
        wanted: whether messages are made. Where all has left before, only the rows are; alert memory is in them.
    """

    scores: list[Scores] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unknown_types: int = 0
    unknown_values: int = 0
    wanted: bool = True

    @classmethod
    def of(cls, decoded: Decoded, *, wanted: bool = True) -> "Emission":
        """Return the emission of a chunk that nothing has been computed for."""
        return cls(unknown_types=decoded.unknown_types, unknown_values=decoded.unknown_values, wanted=wanted)


class Scorer:
    """A bundle in force on one partition, and the partition's rows."""

    def __init__(self, shelf: Shelf, residents: Residents, topic: str, partition: int) -> None:
        """Begin with the shelf's first bundle."""
        self.residents = residents
        self._shelf, self._place = shelf, (topic, partition)
        self.switch(shelf.first)

    def switch(self, bundle: Bundle) -> None:
        """Put a bundle in force."""
        self.bundle = bundle
        self.predict = self._shelf.predictor(bundle)
        self.vocabulary = Vocabulary(bundle.spec)
        self.rules = Rules.of(bundle)
        self.reasoner = Reasoner(bundle, self._shelf.explainer(bundle))
        self.encode = ScoreEncoder(bundle, *self._place)

    def act(self, control: Control, chunk: Chunk) -> Batch | None:
        """Return the items that a tick stands for; put the bundle in force that an activate names.

        Raises:
            BundleError: the bundle is not on the shelf or has another layout.
        """
        message = control.message
        if isinstance(message, Tick):
            return rows.expand(control.record, message, self.residents, len(self.bundle.spec.attributes))
        if message.bundle != self.bundle.sha256:
            place = f"{chunk.topic}-{chunk.partition}-{chunk.offsets[control.record]}"
            self.switch(self._shelf.require(message.bundle, self.bundle, place))
        return None
