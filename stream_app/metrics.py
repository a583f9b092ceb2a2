"""What the worker counts and measures, in the format of Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from stream_app.scorer import Emission
from stream_app.steps.stages import Chunk

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_RECORDS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        """Start at zero."""
        registry = self._registry = CollectorRegistry()
        self._events = Counter("foretell_events", "records whose results were emitted", registry=registry)
        self._scores = Counter("foretell_scores", "scores emitted", registry=registry)
        self._dead_letters = Counter("foretell_dead_letters", "dead letters emitted", ["reason"], registry=registry)
        self._alerts = Counter("foretell_alerts", "alerts emitted", ["rule"], registry=registry)
        self._unknown = Counter(
            "foretell_unknown", "types and attribute values that the spec does not know", ["what"], registry=registry
        )
        self.resets = Counter(
            "foretell_resets", "partitions opened again after a failure", ["cause"], registry=registry
        )
        self.lag = Gauge("foretell_lag", "records behind the end of the input", ["partition"], registry=registry)
        self.resident_rows = Gauge("foretell_resident_rows", "rows in memory", registry=registry)
        self.ready = Gauge("foretell_ready", "1 where the worker is ready", registry=registry)
        self.snapshots = Counter("foretell_snapshots", "snapshots of partitions", ["outcome"], registry=registry)
        self.commit_s = Histogram("foretell_commit_seconds", "time of a commit", buckets=_SECONDS, registry=registry)
        self.flush_s = Histogram(
            "foretell_flush_seconds", "time of a write to the store", buckets=_SECONDS, registry=registry
        )
        self.loop_late_s = Histogram(
            "foretell_loop_late_seconds",
            "how late the event loop is, looked at 20 times a second",
            buckets=_SECONDS,
            registry=registry,
        )
        self.chunks = Histogram("foretell_chunk_records", "records in a chunk", buckets=_RECORDS, registry=registry)

    def count(self, part: Chunk, emission: Emission) -> None:
        """Count what a part of a chunk gave."""
        self._events.inc(len(part.offsets))
        self._scores.inc(sum(len(scores.record) for scores in emission.scores))
        for alert in emission.alerts:
            self._alerts.labels(alert.rule).inc()
        for letter in emission.dead_letters:
            self._dead_letters.labels(dict(letter.headers)["reason"].decode()).inc()
        self._unknown.labels("type").inc(emission.unknown_types)
        self._unknown.labels("value").inc(emission.unknown_values)

    def page(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self._registry)
