"""Writes HTML: what is text is escaped, what is HTML already is not."""

from html import escape
from typing import Final

_VOID: Final = ("br", "col", "link", "meta")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """Return an element.

    Args:
        name: of the element.
        children: in their order; escaped unless they are ``Html``.
        attributes: a trailing underscore is dropped and others become dashes, so that ``class_`` and ``aria_label`` can
            be said; one that is None is left out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>" if name in _VOID else f"<{name}{said}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Html:
    """Return parts one after the other; escaped unless they are ``Html``."""
    return Html("".join(part if isinstance(part, Html) else escape(part, quote=False) for part in parts))
