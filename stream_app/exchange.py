"""A method of aiokafka's with other names in it, for one object: what is patched nowhere else needs no unpatching."""

from types import FunctionType, MethodType
from typing import Any


def exchanged(function: FunctionType, **names: Any) -> FunctionType:  # noqa: ANN401  (what the names stand for)
    """Return a function that is the same but for what some of its module's names stand for in it."""
    around = function.__globals__ | names
    ours = FunctionType(function.__code__, around, function.__name__, function.__defaults__, function.__closure__)
    ours.__kwdefaults__ = function.__kwdefaults__
    return ours


def exchange(owner: object, method: str, **names: Any) -> None:  # noqa: ANN401  (as above)
    """Give an object a method of its own, with other names in it."""
    usual = getattr(owner, method).__func__
    setattr(owner, method, MethodType(exchanged(usual, **names), owner))
