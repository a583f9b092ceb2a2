"""Waiting for a store that is away: asked again and again, told once, and never given up."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from stream_app.store.port import StoreError

PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)
_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)


class Kind(Enum):
    """What is done about an error.

    ``AWAY`` passes by itself or by what the operator does to the store: wait. ``WRONG`` does not: raise. ``DENIED``
    (user, password, rights, certificates) is raised as long as the store has never answered, since it is a mistake in
    the settings then. Later it is waited for: a store that let us in before has been started with other settings, or
    its users are being changed, and the rows that are in memory must not be lost for that.
    """

    AWAY = 1
    DENIED = 2
    WRONG = 3


class Verdict(NamedTuple):
    """What an error means.

    Attributes:
        kind: what is done about it.
        reason: in the store's words.
        advice: what the operator can do.
    """

    kind: Kind
    reason: str
    advice: str


class Patience:
    """Asks a store until it answers. One for all that use the same connections.

    Attributes:
        problem: why it does not answer and what to do; empty if it does. It stays when who asked is cancelled, until
            somebody gets an answer.
    """

    def __init__(
        self,
        store: str,
        errors: tuple[type[Exception], ...],
        judge: Callable[[Exception], Verdict],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Take how errors of a store are judged.

        Args:
            store: what and where it is, as it is named in messages.
            errors: all that asking may raise.
            judge: what one of them means.
            pauses_s: how long to wait before asking again, the last one for good.
        """
        self.problem = ""
        self._store, self._errors, self._judge, self._pauses_s = store, errors, judge, pauses_s
        self._answered = False
        self._waiting: set[object] = set()
        self._told: set[str] = set()

    async def call(self, ask: Callable[[], Awaitable[_T]], within_s: float) -> _T:
        """Return the answer, however long it takes.

        Args:
            ask: begins to ask anew each time; what it does twice must be as if it were done once.
            within_s: after so many seconds without an answer it is asked again.

        Raises:
            StoreError: the store refuses, and waiting would not help.
        """
        me = object()
        try:
            for tries in itertools.count():
                try:
                    async with asyncio.timeout(within_s):
                        answer = await ask()
                except self._errors as error:
                    self._failed(error)
                    self._waiting.add(me)
                else:
                    self._waiting.discard(me)
                    self._succeeded()
                    return answer
                await asyncio.sleep(self._pauses_s[min(tries, len(self._pauses_s) - 1)])
        finally:
            self._waiting.discard(me)
        raise AssertionError  # the loop has no end

    def _failed(self, error: Exception) -> None:
        kind, reason, advice = self._judge(error)
        sentence = f"Expected an answer of {self._store}, found: {reason}; {advice}."
        if kind is Kind.WRONG or (kind is Kind.DENIED and not self._answered):
            raise StoreError(sentence) from error
        self.problem = sentence
        if advice not in self._told:  # one line for each cause, however often and by however many it is met
            self._told.add(advice)
            _log.warning("%s Waiting for it.", sentence)

    def _succeeded(self) -> None:
        self._answered = True
        if self.problem and not self._waiting:
            self.problem = ""
            self._told.clear()
            _log.warning("%s answers again.", self._store)
