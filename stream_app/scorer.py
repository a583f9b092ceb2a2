"""What scores one partition: a bundle made ready, and the partition's rows."""

from dataclasses import dataclass, field

from schemas.errors import BundleError
from schemas.messages import Alert, Tick
from stream_app.bundle import Bundle
from stream_app.residents import Residents
from stream_app.steps import rows
from stream_app.steps.alerts import Rules
from stream_app.steps.decode import Vocabulary
from stream_app.steps.encode import DeadLetter, ScoreEncoder, Scores
from stream_app.steps.predict import Predictor
from stream_app.steps.stages import Batch, Chunk, Control


@dataclass
class Emission:
    """What leaves for a chunk.

    Attributes:
        scores: in log order, one part for each batch.
        alerts: in log order.
        dead_letters: in log order.
        unknown_types: how many transactions had a type that the spec does not know.
        unknown_values: how many attributes or values of customer records the spec does not know.
    """

    scores: list[Scores] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unknown_types: int = 0
    unknown_values: int = 0


class Scorer:
    """A bundle in force on one partition."""

    def __init__(self, bundle: Bundle, predict: Predictor, residents: Residents, topic: str, partition: int) -> None:
        """Make a bundle ready for a partition. The predictor may be shared between partitions."""
        self.bundle = bundle
        self.predict = predict
        self.residents = residents
        self.vocabulary = Vocabulary(bundle.spec)
        self.rules = Rules.of(bundle)
        self.encode = ScoreEncoder(bundle, topic, partition)

    def act(self, control: Control, chunk: Chunk) -> Batch | None:
        """Return the items that a tick stands for; None for an activate of the bundle in force.

        Raises:
            BundleError: an activate names another bundle.
        """
        message = control.message
        if isinstance(message, Tick):
            return rows.expand(control.record, message, self.residents, len(self.bundle.spec.attributes))
        if message.bundle != self.bundle.sha256:
            message_text = (
                f"Expected bundle {self.bundle.short} to stay in force, found an activate of {message.bundle[:16]} at "
                f"{chunk.topic}-{chunk.partition}-{chunk.offsets[control.record]}; replay up to there with this bundle."
            )
            raise BundleError(message_text)
        return None
