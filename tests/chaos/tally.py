"""What has happened in a campaign."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What has happened.

    Attributes:
        faults: how often each struck.
        notes: what else was seen.
        skipped: faults that could not be played, with the reason.
        kills: SIGKILLs of workers.
        zombies: workers paused until others had taken over.
        fenced: zombies that were fenced with uncommitted work, by who did it: the broker (the transaction of a producer
            with a newer one of its name) or the marker in Redis (which has a newer owner).
        redis_losses: of them how often writes, and how many bytes of them.
        lost_bytes: of what Redis had acknowledged.
        ended: workers that ended by themselves.
        stop_s: how long each SIGTERM took.
        resume_s: from the restart after a SIGKILL until every partition of the killed worker had a new commit.
        not_resumed: kills after which it took longer than was waited for; they are in no median.
    """

    faults: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    zombies: int = 0
    fenced: Counter[str] = field(default_factory=Counter)
    redis_losses: int = 0
    lost_bytes: int = 0
    ended: int = 0
    stop_s: list[float] = field(default_factory=list)
    resume_s: list[float] = field(default_factory=list)
    not_resumed: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def tell(self, text: str) -> None:
        """Say what is going on."""
        sys.stdout.write(f"{time.monotonic() - self.started_s:7.1f} s  {text}\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Keep and say what was seen."""
        self.notes.append(f"{time.monotonic() - self.started_s:.1f} s: {text}")
        self.tell(text)
