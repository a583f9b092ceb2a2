"""What an audit has found: what was compared, what differs, what could not be looked at, and the verdict."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from schemas.errors import EXIT_OK
from stream_app.audit.told import Kind

DIFFERENT: Final = 1
NOT_AUDITED: Final = 2
_MOST_TOLD: Final = 5
"""Of each kind; the others are counted."""


@dataclass
class Findings:
    """What an audit has found.

    Attributes:
        exact: whether every byte must be the same; else scores may differ by 1e-6, and what hangs on them is left out.
        customers: how many were computed again.
        partitions: how many were audited.
        compared: rows and messages, by kind.
        differences: of each kind.
        only_near: whether all differences are such as another machine gives.
        not_audited: why something could not be looked at.
    """

    exact: bool = True
    customers: int = 0
    partitions: int = 0
    compared: Counter[Kind] = field(default_factory=Counter)
    differences: defaultdict[Kind, list[str]] = field(default_factory=lambda: defaultdict(list))
    only_near: bool = True
    not_audited: list[str] = field(default_factory=list)

    def differ(self, kind: Kind, what: str, *, near: bool = False) -> None:
        """Note a difference; ``near`` where another machine would give it."""
        self.differences[kind].append(what)
        self.only_near = self.only_near and near

    @property
    def exit_code(self) -> int:
        """Return 0 where all is equal, 1 where something differs, 2 where something could not be looked at."""
        if self.differences:
            return DIFFERENT
        return NOT_AUDITED if self.not_audited or not self.customers else EXIT_OK

    def lines(self) -> Iterator[str]:
        """Yield what is told to the operator, the verdict last."""
        for kind, told in self.differences.items():
            yield from (f"differs: {kind.replace('_', ' ')} {what}" for what in told[:_MOST_TOLD])
            if len(told) > _MOST_TOLD:
                yield f"differs: {len(told) - _MOST_TOLD:,} more {kind.replace('_', ' ')}"
        yield from (f"not audited: {why}" for why in self.not_audited)
        counts = ", ".join(f"{self.compared[kind]:,} {kind.replace('_', ' ')}" for kind in Kind if self.compared[kind])
        how = "byte for byte" if self.exact else "as on another machine: scores within 1e-6, no alerts or their memory"
        yield f"compared {counts or 'nothing'} of {self.customers:,} customers, {how}"
        yield f"verdict: {self._verdict()}"

    def page(self) -> bytes:
        """Return the outcome as metrics of Prometheus, for a textfile collector."""
        registry = CollectorRegistry()

        def gauge(name: str, text: str, value: float) -> None:
            Gauge(f"foretell_audit_{name}", text, registry=registry).set(value)

        gauge("equal", "1 where all that was compared is equal", not self.differences)
        gauge("complete", "1 where all could be compared", not self.not_audited and self.customers > 0)
        gauge("customers", "customers computed again", self.customers)
        gauge("partitions", "partitions audited", self.partitions)
        gauge("timestamp_seconds", "when the audit ended", time.time())
        compared = Gauge("foretell_audit_compared", "what was compared", ["kind"], registry=registry)
        different = Gauge("foretell_audit_differences", "what differs", ["kind"], registry=registry)
        for kind in Kind:
            compared.labels(kind.value).set(self.compared[kind])
            different.labels(kind.value).set(len(self.differences.get(kind, ())))
        return generate_latest(registry)

    def _verdict(self) -> str:
        if self.differences:
            found = sum(map(len, self.differences.values()))
            hint = (
                "; all of them are such as another version of ONNX Runtime or another type of CPU gives: if the "
                "workers run on another, look again with --other-machine"
            )
            return f"{found:,} differences{hint if self.exact and self.only_near else ''}"
        if not self.customers:
            return "nothing could be audited"
        return "all equal, but not all could be audited" if self.not_audited else "all equal"
