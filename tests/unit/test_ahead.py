import threading
from collections.abc import Iterator

import pytest

from stream_app.offline.ahead import one_ahead


def numbers(made: list[int], upto: int = 5) -> Iterator[int]:
    for number in range(upto):
        made.append(number)
        yield number


def test_all_items_come_in_order() -> None:
    assert list(one_ahead(numbers([]))) == [0, 1, 2, 3, 4]
    assert list(one_ahead(iter([]))) == []


def test_one_item_is_made_ahead_and_no_more() -> None:
    made: list[int] = []
    items = one_ahead(numbers(made))
    for number in range(3):
        assert next(items) == number
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert made == [0, 1, 2, 3]


def test_a_failure_comes_where_the_item_would_have_come() -> None:
    def failing() -> Iterator[int]:
        yield 1
        message = "no more"
        raise ValueError(message)

    items = one_ahead(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="no more"):
        next(items)


def test_items_are_made_in_another_thread() -> None:
    assert threading.get_ident() not in set(one_ahead(threading.get_ident() for _ in range(3)))
