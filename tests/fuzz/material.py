"""What is put into records: JSON text, text that only looks like it, and names."""

from typing import Final

NUMBERS: Final = (
    *b"0 -0 -0.0 1 -1 0.1 1e0 1E+2 5e-324 1e-400 1.7976931348623157e308 1e308 1e309 -1e309 1e999999999".split(),
    *b"1e12 1000000000000.0001 1000000000001 -1e12 -1.1e12 999999999999.99 1e11 1e38 3.5e38".split(),
    *b"9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775809 18446744073709551616".split(),
    *b"NaN -NaN Infinity -Infinity nan inf 01 +1 .5 1. 0x10 1_000 1e --1".split(),
    *(b"1" * 400, b"-" + b"9" * 400, b"1" * 5_000, b"0." + b"0" * 400 + b"1"),
)
TEXTS: Final = (
    *b'"" "0" "1e5" "NaN" "true" "null" "groceries" "GROCERIES" "EUR" "USD" "XXX" "yes" "no" \'a\' "\\x41" "\\'.split(),
    *b'"\\u0000" "a\\u0000b" "\\ud800" "\\udc00\\ud800" "\\ud83d\\ude00"'.split(),
    *b'"\\"\\\\\\/\\b\\f\\n\\r\\t" "\x7f" "\x00" "\xff" "\xc3" "\xed\xa0\x80" "\xf4\x90\x80\x80"'.split(),
    *'"😀" "é" "e\u0301" "\u202e\ufeff"'.encode().split(),
    *(b'" "', b'"salary "', b'"\t"', b'"\n"'),
)
TIMES: Final = (
    *b"0 -1 1 1700000000 1700000000000 1700000000000000 631152000000 631151999999 7258118399999 7258118400000".split(),
    *b"4611686018427387904 -4611686018427387904 1.7e12 1700000000000.0".split(),
    *b'"2023-11-14T22:13:20Z" "2023-11-14T22:13:20" "2023-11-14T22:13:20+23:59" "2023-11-14T22:13:20-00:00"'.split(),
    *b'"2023-11-14" "2023-02-29T00:00:00Z" "0001-01-01T00:00:00Z" "9999-12-31T23:59:59.999999999Z"'.split(),
    *b'"2023-11-14T24:00:00Z" "2023-11-14T22:13:60Z" "2023-11-14T22:13:20.1234567890123Z"'.split(),
    *b'"0000-00-00T00:00:00Z" "+12023-11-14T22:13:20Z" "2023-11-14t22:13:20z" "1989-12-31T23:59:59.9999Z"'.split(),
    b'"2023-11-14 22:13:20Z"',
)
OTHERS: Final = (b"", *b'null true false [] {} [[]] {"a":1} [1,2] undefined {"":{}} ,'.split())
KINDS: Final = tuple(b'"transaction" "customer" "tick" "activate" "forget" "Tick" "" null 1 [] {}'.split())
NAMES: Final = (
    *b"customer_id transaction_id time amount type currency balance kind slice bundle age has_loan income".split(),
    *b"gender credit_score risk_level name product_id unheard \\u0061mount Amount \\u0000 __class__".split(),
    *(b"", b"amount ", b"a" * 300),
)
IDS: Final = (
    *("x", "x" * 255, "x" * 256, "x" * 257, "é" * 128, "é" * 129, "😀" * 64, "😀" * 65),
    *(" ", "\n", '"\\', "a\0b", "\0", "", "c-1 ", "\u202ec-1", "c-1\u0301", "\x7f"),
    *["-", "0", "C-1", "null", "{", "c-1,c-2", "../../x", "{}", "*"],
)
TOKENS: Final = (
    *(*NUMBERS, *TEXTS, b"\x00", b"\xff\xfe", b"\xef\xbb\xbf"),
    *b'{ } [ ] : , " \\ \\u //'.split(),
)
SPACES: Final = (*[b""] * 30, *[b" "] * 15, *[b"\n\t\r "] * 4, b"\x0c")
LONG: Final = (b"x", b"\\n", b"\xc3\xa9")
"""What long texts are made of."""
EXPONENTS: Final = (b"", b".5", b"e3", b"e-9")
BRACKETS: Final = ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b"[", b""))
