"""Which types a spec keeps apart, and who initiates them: the customer or the bank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.spec import OTHER
from training.draft.lexicon import bank_word
from training.draft.names import is_name
from training.draft.survey import Survey, TypeFound

MOST_TYPES: Final = 16
"""Types that a draft keeps apart, ``other`` among them."""
_RAREST: Final = 0.001
"""Share of the log below which a type is not kept apart, unless the bank makes it."""
_TOGETHER, _SMALL, _SEEN_BY = 0.5, 0.05, 20
"""What comes to half of its customers on one day, is small, and comes to at least so many, seems to be the bank's."""


@dataclass(frozen=True)
class TypeDraft:
    """A type of the spec.

    Attributes:
        found: what the log shows.
        called: what it is called where the data come from.
        bank: why it seems to be initiated by the bank; "" for a customer's.
    """

    found: TypeFound
    called: str
    bank: str


@dataclass(frozen=True)
class TypesDraft:
    """The types that are kept apart, and those that become ``other``, the most frequent first."""

    kept: tuple[TypeDraft, ...]
    joined: tuple[TypeFound, ...]

    @property
    def of_bank(self) -> tuple[TypeDraft, ...]:
        """Return the types that seem to be the bank's."""
        return tuple(item for item in self.kept if item.bank)

    def own(self, survey: Survey) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which transactions customers initiate, bool [n]."""
        of_bank = {item.found.name for item in self.of_bank}
        return np.array([name not in of_bank for name in survey.kinds])[survey.kind]


def draft_types(survey: Survey, called: Mapping[str, str]) -> TypesDraft:
    """Choose the types to keep apart and guess who initiates them.

    Args:
        survey: the log.
        called: what types were called where the data come from, where that is known and different.
    """
    usual = float(np.median(np.abs(survey.amount)))
    drafts = [_drafted(found, called.get(found.name, found.name), usual) for found in survey.types]
    fit = [item for item in drafts if is_name(item.found.name) and item.found.name != OTHER]
    frequent = [item for item in fit if item.bank or item.found.count >= _RAREST * len(survey.kind)]
    chosen = sorted(frequent, key=lambda item: not item.bank)[: MOST_TYPES - 1]
    kept = tuple(sorted(chosen, key=lambda item: (bool(item.bank), -item.found.count, item.found.name)))
    names = {item.found.name for item in kept} | {OTHER}
    return TypesDraft(kept, tuple(found for found in survey.types if found.name not in names))


def _drafted(found: TypeFound, called: str, usual: float) -> TypeDraft:
    word = bank_word(called) or bank_word(found.name)
    if word:
        return TypeDraft(found, called, f"sounds like {word}")
    small = found.median <= _SMALL * usual and found.customers >= _SEEN_BY
    if small and found.together >= _TOGETHER:
        why = f"small, and comes to {found.together:.0%} of its customers on one day"
        return TypeDraft(found, called, why)
    return TypeDraft(found, called, "")
