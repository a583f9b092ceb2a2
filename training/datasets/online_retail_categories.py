"""Puts articles into categories by what is bought together: spherical k-means over baskets.

An article is the set of baskets that it was bought in, each weighted by log(1 + articles / articles in the basket), so
that a wholesaler's basket, which holds everything, says little; articles are compared by the cosine (Dhillon & Modha
2001). The first centres are chosen, not drawn: one of the most bought articles, then again and again the article that
is bought most and resembles the centres least. Sums run in the order of the data and similarities are compared by nine
decimals, so the same baskets give the same categories on every machine.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.arrays import Flags, Floats, Ints

FEWEST: Final = 5
"""An article is compared that was bought in at least so many baskets."""
_STARTS: Final = 4
_ROUNDS: Final = 100
_DECIMALS: Final = 9


@dataclass(frozen=True)
class Purchases:
    """Which articles were bought in which baskets: pairs, each once.

    Attributes:
        article: int64 [n].
        basket: int64 [n].
        articles: how many articles there are.
    """

    article: Ints
    basket: Ints
    articles: int

    @classmethod
    def of(cls, article: Ints, basket: Ints, articles: int) -> "Purchases":
        """Return the different pairs of baskets with at least two articles, of articles in ``FEWEST`` baskets."""
        pairs = np.unique(np.column_stack([article, basket]), axis=0)
        pairs = pairs[np.bincount(pairs[:, 1])[pairs[:, 1]] > 1] if len(pairs) else pairs
        pairs = pairs[np.bincount(pairs[:, 0])[pairs[:, 0]] >= FEWEST] if len(pairs) else pairs
        basket = np.unique(pairs[:, 1], return_inverse=True)[1]
        return cls(pairs[:, 0], basket.astype(np.int64), articles)

    @property
    def baskets(self) -> Ints:
        """Return in how many baskets each article was bought, int64 [articles]."""
        return np.bincount(self.article, minlength=self.articles)


def cluster(purchases: Purchases, categories: int) -> Ints:
    """Return each article's category, int64 [articles]; -1 for articles in too few baskets."""
    bought = purchases.baskets
    found = np.full(len(bought), -1)
    if np.count_nonzero(bought) < categories:
        return found
    space = _Space.of(purchases)
    starts = np.argsort(-bought, kind="stable")[: min(_STARTS, np.count_nonzero(bought))]
    fits = [space.fit(space.spread(int(start), categories)) for start in starts]
    best = max(range(len(fits)), key=lambda index: (round(fits[index][1], _DECIMALS), -index))
    return np.where(bought > 0, fits[best][0], -1)


def nearest(number: Ints, known: Ints, category: Ints) -> Ints:
    """Return the category of the article whose number is nearest; of two as near the lower one, then the first.

    Numbers are given as articles are taken on, to what belongs together one after the other.

    Args:
        number: int64 [n], whose category is wanted.
        known: int64 [m], numbers of articles with a category, ascending.
        category: int64 [m], their categories.
    """
    right = np.searchsorted(known, number)
    left = np.searchsorted(known, known[np.maximum(right - 1, 0)])  # the first of equal ones
    right = np.minimum(right, len(known) - 1)
    return category[np.where(np.abs(known[left] - number) <= np.abs(known[right] - number), left, right)]


@dataclass(frozen=True)
class _Space:
    """Articles as unit vectors over baskets.

    Attributes:
        purchases: where the vectors are not 0.
        value: float64 [n], what they are there.
        bought: int64 [articles], in how many baskets.
        baskets: how many there are.
    """

    purchases: Purchases
    value: Floats
    bought: Ints
    baskets: int

    @classmethod
    def of(cls, purchases: Purchases) -> "_Space":
        size = np.bincount(purchases.basket)
        bought = purchases.baskets
        weight = np.log(1.0 + np.count_nonzero(bought) / size)[purchases.basket]
        length = np.sqrt(np.bincount(purchases.article, weight * weight, minlength=purchases.articles))
        return cls(purchases, weight / length[purchases.article], bought, len(size))

    def spread(self, start: int, count: int) -> list[Floats]:
        """Return first centres: an article, and then such as are bought most and resemble those before least."""
        centres = [self._centre(self.purchases.article == start)]
        nearest_one = self._similarity(centres[0])
        while len(centres) < count:
            far = self.bought * np.round(np.clip(1.0 - nearest_one, 0.0, None) ** 2, _DECIMALS)
            centres.append(self._centre(self.purchases.article == np.argmax(far)))
            nearest_one = np.maximum(nearest_one, self._similarity(centres[-1]))
        return centres

    def fit(self, centres: list[Floats]) -> tuple[Ints, float]:
        """Move centres and articles until none moves; return the categories and how well they fit."""
        category = np.full(self.purchases.articles, -1)
        similarity = np.empty((self.purchases.articles, len(centres)))
        for _ in range(_ROUNDS):
            for index, centre in enumerate(centres):
                similarity[:, index] = self._similarity(centre)
            moved = similarity.argmax(axis=1)
            if np.array_equal(moved, category):
                break
            category = moved
            centres = [self._centre(category[self.purchases.article] == index) for index in range(len(centres))]
        return category, _total(similarity.max(axis=1) * np.sqrt(self.bought))

    def _centre(self, of: Flags) -> Floats:
        """Return the direction of some articles' sum, each weighted by the root of how often it was bought."""
        weight = (self.value * np.sqrt(self.bought)[self.purchases.article])[of]
        centre: Floats = np.bincount(self.purchases.basket[of], weight, minlength=self.baskets).astype(np.float64)
        length = np.sqrt(_total(centre * centre))
        return centre / length if length else centre

    def _similarity(self, centre: Floats) -> Floats:
        products = self.value * centre[self.purchases.basket]
        return np.round(np.bincount(self.purchases.article, products, minlength=self.purchases.articles), _DECIMALS)


def _total(values: Floats) -> float:
    """Return a sum whose order, unlike that of ``sum``, does not depend on the machine."""
    return float(np.bincount(np.zeros(len(values), np.int64), values, minlength=1)[0])
