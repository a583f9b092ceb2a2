"""A portrait in plain words: short sentences for who talks with the customer, in English or Chinese."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from schemas.portrait import Portrait
from stream_app.portrait import chinese, english

Language = Literal["en", "zh"]
LANGUAGES: Final[Mapping[str, Callable[[Portrait], list[str]]]] = {"en": english.sentences, "zh": chinese.sentences}
"""A new language is a module with ``sentences``, and an entry here."""


def words(portrait: Portrait, language: Language) -> list[str]:
    """Return a portrait as sentences, the most important first; what is unknown is left out or told to be unknown.

    Protected attributes are told as facts; what the scores do not know is told apart.
    """
    return [_printable(sentence) for sentence in LANGUAGES[language](portrait)]


def _printable(text: str) -> str:
    """Return a text in one line: what an id, a name or a product is called must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
