"""Records made wrong: in their bytes, in their JSON, in their key.

A record is changed as a list of fields whose names and values are JSON text, so that a value can be what no JSON writer
would write: NaN, a number of four hundred digits, half a surrogate pair, a field that is there twice.
"""

import json
import random
from collections.abc import Callable
from typing import Any, Final

from tests.fuzz.material import (
    BRACKETS,
    EXPONENTS,
    IDS,
    KINDS,
    LONG,
    NAMES,
    NUMBERS,
    OTHERS,
    SPACES,
    TEXTS,
    TIMES,
    TOKENS,
)

Message = tuple[bytes | None, bytes | None]
"""Key and value."""
Fields = list[tuple[bytes, bytes]]
"""Names and values as JSON text."""

_LONGEST: Final = 3


def mutated(rng: random.Random, key: bytes | None, record: dict[str, Any] | bytes | None) -> Message:
    """Return a record with one to three things about it changed."""
    chance = rng.random()
    if record is None or isinstance(record, bytes) or chance < 0.15:
        return _key_changed(rng, key, 0.3), _bytes_changed(rng, _text(record))
    fields = [(b'"%s"' % name.encode(), json.dumps(value).encode()) for name, value in record.items()]
    for _ in range(rng.randint(1, _LONGEST)):
        fields = rng.choice(_CHANGES)(rng, fields)
    if chance < 0.25:
        key, fields = _other_id(rng, fields)
    text = _written(rng, fields)
    return _key_changed(rng, key, 0.1), _bytes_changed(rng, text) if chance > 0.95 else text


def value_of(rng: random.Random) -> bytes:
    """Return some JSON text, or what looks like it."""
    return rng.choices(_VALUES, _SHARES)[0](rng)


def _nested(rng: random.Random) -> bytes:
    first, last = rng.choice(BRACKETS)
    depth = rng.choice((2, 62, 63, 64, 65, 200) * 5 + (1_100, 20_000, 100_000))
    return first * depth + b"1" + last * depth


def _long(rng: random.Random) -> bytes:
    return b'"' + rng.choice(LONG) * rng.choice((257, 1_000, 70_000)) + b'"'


def _of_digits(rng: random.Random) -> bytes:
    bits = rng.choice((8, 31, 32, 53, 63, 64, 70, 200))
    return b"%d" % rng.getrandbits(bits) + rng.choice(EXPONENTS)


_VALUES: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    *(lambda rng: rng.choice(NUMBERS), lambda rng: rng.choice(TEXTS), lambda rng: rng.choice(TIMES)),
    *(lambda rng: rng.choice(OTHERS), _nested, _long, _of_digits),
)
_SHARES: Final = (40, 25, 15, 10, 3, 2, 5)
_LIKELY: Final = {
    b'"time"': TIMES,
    b'"amount"': NUMBERS,
    b'"balance"': NUMBERS,
    b'"kind"': KINDS,
    b'"type"': TEXTS,
}
"""Values of the kind that a field must have."""


# Changes of fields


def _change(rng: random.Random, fields: Fields) -> Fields:
    """Give a field another value, often one of the kind that it must have."""
    if not fields:
        return fields
    at = rng.randrange(len(fields))
    name = fields[at][0]
    likely = _LIKELY.get(name)
    value = rng.choice(likely) if likely and rng.random() < 0.7 else value_of(rng)
    return [*fields[:at], (name, value), *fields[at + 1 :]]


def _remove(rng: random.Random, fields: Fields) -> Fields:
    """Leave a field out."""
    at = rng.randrange(len(fields) + 1)
    return fields[:at] + fields[at + 1 :]


def _add(rng: random.Random, fields: Fields) -> Fields:
    """Add a field, which may be there already."""
    at = rng.randrange(len(fields) + 1)
    return [*fields[:at], (b'"%s"' % rng.choice(NAMES), value_of(rng)), *fields[at:]]


def _double(rng: random.Random, fields: Fields) -> Fields:
    """Put a field there twice."""
    return [*fields, (rng.choice(fields)[0], value_of(rng))] if fields else fields


def _rename(rng: random.Random, fields: Fields) -> Fields:
    """Give a field another name."""
    if not fields:
        return fields
    at = rng.randrange(len(fields))
    name = rng.choice((b'"%s"' % rng.choice(NAMES), b"name", b"1", b""))
    return [*fields[:at], (name, fields[at][1]), *fields[at + 1 :]]


def _shuffle(rng: random.Random, fields: Fields) -> Fields:
    """Put the fields in another order, which must not matter."""
    return rng.sample(fields, len(fields))


_CHANGES: Final[tuple[Callable[[random.Random, Fields], Fields], ...]] = (
    *(_change, _change, _change, _change, _remove, _add, _double, _rename, _shuffle),
)


def _other_id(rng: random.Random, fields: Fields) -> tuple[bytes, Fields]:
    """Make it a record of a customer of another name, with the right key for it."""
    name = rng.choice(IDS)
    value = json.dumps(name, ensure_ascii=rng.random() < 0.5).encode()
    return name.encode(), [(key, value if key == b'"customer_id"' else old) for key, old in fields]


def _written(rng: random.Random, fields: Fields) -> bytes:
    """Return the fields as an object, now and then in other white space, or as something that is no object."""
    space = rng.choice(SPACES)
    text = b"{" + b",".join(name + space + b":" + space + value for name, value in fields) + b"}"
    if rng.random() > 0.05:
        return text
    other = (
        *(b"[" + text + b"]", text + text, text + b",", text[:-1] + b",}", b'"' + text, text[1:]),
        *(b"\xef\xbb\xbf" + text, b"/**/" + text, text + b"\x00", text + b" " * 100),
        text.decode(errors="replace").encode("utf-16"),
    )
    return rng.choice(other)


# Changes of bytes and key


def _text(record: dict[str, Any] | bytes | None) -> bytes:
    if record is None:
        return b"{}"
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def _bytes_changed(rng: random.Random, text: bytes) -> bytes | None:
    """Return bytes of which some were changed, removed, doubled or replaced."""
    found = bytearray(text)
    for _ in range(rng.randint(1, _LONGEST)):
        at = rng.randrange(len(found) + 1)
        kind = rng.random()
        if kind < 0.3 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind < 0.55:
            found[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
        elif kind < 0.8:
            found[at : at + rng.randrange(4)] = rng.choice(TOKENS)
        elif kind < 0.9:
            found[at:at] = found[rng.randrange(len(found) + 1) :][:40]
        elif kind < 0.98:
            del found[at : at + rng.randrange(30)]
        else:
            del found[at:]
    return bytes(found) if rng.random() < 0.98 else None


def _key_changed(rng: random.Random, key: bytes | None, share: float) -> bytes | None:
    """Return the key, in a share of cases another one."""
    if rng.random() >= share:
        return key
    name = key or b"c"
    like_it = (name + b" ", name[:-1], name.upper(), b"\xff" + name, name + b"\x00")
    return rng.choice((None, b"", b"k" * 70_000, b"c-1", *like_it))
