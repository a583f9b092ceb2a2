"""The compiled loop that finds the fields of plain transactions in their JSON; ``stream_app.steps.plain`` calls it.

All compiled functions stand in this file, and what may change elsewhere is an argument: numba's cache on disk sees
neither other files nor globals. A place below 0 says that something else stands there than the loop takes.
"""

from typing import Final

import numpy as np
from numba import njit

TRANSACTION_ID, CUSTOMER_ID, TIME, AMOUNT, TYPE, CURRENCY, BALANCE, KIND = range(8)
FIELDS: Final = ("transaction_id", "customer_id", "time", "amount", "type", "currency", "balance", "kind")


@njit(error_model="numpy")
def _space(text, at, end):  # type: ignore[no-untyped-def]
    """Return the place of the next character that is no white space."""
    while at < end and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@njit(error_model="numpy")
def _string(text, at, end):  # type: ignore[no-untyped-def]
    """Return the place of the quote that ends the plain string which starts at ``at``, behind its quote."""
    while at < end:
        c = text[at]
        if c == 34:
            return at
        if c < 32 or c > 126 or c == 92:
            return -1
        at += 1
    return -1


@njit(error_model="numpy")
def _same(text, start, stop, other, first, last):  # type: ignore[no-untyped-def]
    """Return whether the same bytes stand in both places."""
    if stop - start != last - first:
        return False
    for k in range(stop - start):
        if text[start + k] != other[first + k]:
            return False
    return True


@njit(error_model="numpy")
def _find(text, start, stop, strings):  # type: ignore[no-untyped-def]
    """Return which of some strings stands from ``start`` to ``stop``; -1 if none does."""
    content, ends = strings
    first = 0
    for k in range(len(ends)):
        if _same(text, start, stop, content, first, ends[k]):
            return k
        first = ends[k]
    return -1


@njit(error_model="numpy")
def _whole(text, at, end):  # type: ignore[no-untyped-def]
    """Return a whole number without a sign, and the place behind it."""
    value = np.int64(0)
    start = at
    while at < end and 48 <= text[at] <= 57 and at - start <= 15:
        value = 10 * value + (np.int64(text[at]) - 48)
        at += 1
    digits = at - start
    if digits == 0 or digits > 15 or (digits > 1 and text[start] == 48):
        return 0, -1
    return value, at


@njit(error_model="numpy")
def _number(text, at, end, powers):  # type: ignore[no-untyped-def]
    """Return a decimal number of at most 15 digits without an exponent, and the place behind it."""
    negative = at < end and text[at] == 45
    if negative:
        at += 1
    value, behind = _whole(text, at, end)
    if behind < 0:
        return 0.0, -1
    digits = behind - at
    at = behind
    places = 0
    if at < end and text[at] == 46:
        at += 1
        while at < end and 48 <= text[at] <= 57 and digits + places <= 15:
            value = 10 * value + (np.int64(text[at]) - 48)
            places += 1
            at += 1
        if places == 0 or digits + places > 15:
            return 0.0, -1
    if at < end and (text[at] == 69 or text[at] == 101):
        return 0.0, -1
    number = float(value) / powers[places]
    if negative and (value != 0 or places > 0):  # -0 is a whole number, which has no sign
        number = -number
    return number, at


@njit(error_model="numpy")
def _mix(v, at, x, y):  # type: ignore[no-untyped-def]
    a, b, c, d = at
    v[a] = v[a] + v[b] + x
    t = v[d] ^ v[a]
    v[d] = (t >> np.uint64(32)) | (t << np.uint64(32))
    v[c] = v[c] + v[d]
    t = v[b] ^ v[c]
    v[b] = (t >> np.uint64(24)) | (t << np.uint64(40))
    v[a] = v[a] + v[b] + y
    t = v[d] ^ v[a]
    v[d] = (t >> np.uint64(16)) | (t << np.uint64(48))
    v[c] = v[c] + v[d]
    t = v[b] ^ v[c]
    v[b] = (t >> np.uint64(63)) | (t << np.uint64(1))


@njit(error_model="numpy")
def _digest(text, start, stop, blake, work):  # type: ignore[no-untyped-def]
    """Return the first word of the BLAKE2b of at most 128 bytes, for a digest of six."""
    initial, order = blake
    v, m = work
    for k in range(16):
        m[k] = np.uint64(0)
    for k in range(stop - start):
        m[k >> 3] |= np.uint64(text[start + k]) << np.uint64(8 * (k & 7))
    head = initial[0] ^ np.uint64(0x01010006)
    for k in range(8):
        v[k] = initial[k]
        v[k + 8] = initial[k]
    v[0] = head
    v[12] ^= np.uint64(stop - start)
    v[14] = ~v[14]
    for turn in range(12):
        s = order[turn % 10]
        _mix(v, (0, 4, 8, 12), m[s[0]], m[s[1]])
        _mix(v, (1, 5, 9, 13), m[s[2]], m[s[3]])
        _mix(v, (2, 6, 10, 14), m[s[4]], m[s[5]])
        _mix(v, (3, 7, 11, 15), m[s[6]], m[s[7]])
        _mix(v, (0, 5, 10, 15), m[s[8]], m[s[9]])
        _mix(v, (1, 6, 11, 12), m[s[10]], m[s[11]])
        _mix(v, (2, 7, 8, 13), m[s[12]], m[s[13]])
        _mix(v, (3, 4, 9, 14), m[s[14]], m[s[15]])
    return head ^ v[0] ^ v[8]


@njit(error_model="numpy")
def _object(text, at, end, words, powers, found):  # type: ignore[no-untyped-def]
    """Find the fields of a flat object: for each, where its string stands, or its number.

    Args:
        text: all values.
        at: where the value starts.
        end: where it ends.
        words: names to compare with.
        powers: of ten.
        found: int64 [fields, 2], set to start and stop of what a field holds, -1 where it is absent or null; and
            float64 [fields], set where that is a number.

    Returns:
        Whether it is such an object and nothing else.
    """
    places, numbers = found
    for k in range(len(places)):
        places[k, 0] = -1
    seen = 0
    at = _space(text, at, end)
    if at >= end or text[at] != 123:
        return False
    at += 1
    while True:
        at = _space(text, at, end)
        if at >= end or text[at] != 34:
            return False
        stop = _string(text, at + 1, end)
        if stop < 0:
            return False
        name = _find(text, at + 1, stop, words.fields)
        if name < 0 or seen & (1 << name):
            return False
        seen |= 1 << name
        at = _space(text, stop + 1, end)
        if at >= end or text[at] != 58:
            return False
        at = _space(text, at + 1, end)
        if at >= end:
            return False
        if text[at] == 34:
            if name == TIME or name == AMOUNT or name == BALANCE:
                return False
            stop = _string(text, at + 1, end)
            if stop < 0:
                return False
            places[name, 0] = at + 1
            places[name, 1] = stop
            at = stop + 1
        elif end - at > 4 and text[at] == 110 and text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108:
            if name < CURRENCY or name == KIND:
                return False
            at += 4
        else:
            if name != TIME and name != AMOUNT and name != BALANCE:
                return False
            places[name, 0] = at
            if name == TIME:
                whole, at = _whole(text, at, end)
                numbers[name] = float(whole)
            else:
                numbers[name], at = _number(text, at, end, powers)
            if at < 0:
                return False
        at = _space(text, at, end)
        if at >= end:
            return False
        if text[at] == 125:
            return _space(text, at + 1, end) == end
        if text[at] != 44:
            return False
        at += 1


@njit(error_model="numpy")
def _ids_fit(text, places, keys, key_start, key_stop, longest):  # type: ignore[no-untyped-def]
    """Return whether both ids are as they must be, and the customer's is the key."""
    start, stop = places[TRANSACTION_ID, 0], places[TRANSACTION_ID, 1]
    if start < 0 or stop <= start or stop - start > 128:
        return False
    start, stop = places[CUSTOMER_ID, 0], places[CUSTOMER_ID, 1]
    if start < 0 or stop <= start or stop - start > longest:
        return False
    return _same(text, start, stop, keys, key_start, key_stop)


@njit(cache=True, nogil=True, error_model="numpy")
def scan(values, keys, record_times, words, constants, found):  # type: ignore[no-untyped-def]
    """Take plain transactions.

    Args:
        values: of the records, as ``Texts.arrays``.
        keys: of the records, as ``Texts.arrays``.
        record_times: int64 [n].
        words: ``plain.Words``.
        constants: ``plain.Limits``, powers of ten, ``plain.Blake``.
        found: ``plain.Columns``, of which nothing is taken; filled in for the records that are.
    """
    text, starts, stops = values
    key_text, key_starts, key_stops = keys
    limits, powers, blake = constants
    places = np.empty((len(words.fields.ends), 2), np.int64)
    numbers = np.zeros(len(words.fields.ends))
    work = (np.empty(16, np.uint64), np.empty(16, np.uint64))
    for i in range(len(starts)):
        at, end = starts[i], stops[i]
        if at < 0 or key_starts[i] < 0 or not _object(text, at, end, words, powers, (places, numbers)):
            continue
        if not _ids_fit(text, places, key_text, key_starts[i], key_stops[i], limits.longest_id):
            continue
        if places[TIME, 0] < 0 or places[AMOUNT, 0] < 0 or places[TYPE, 0] < 0:
            continue
        if places[KIND, 0] >= 0 and _find(text, places[KIND, 0], places[KIND, 1], words.transaction) < 0:
            continue
        time = np.int64(numbers[TIME])  # of 15 digits at most: exact
        if time < limits.earliest_ms or time >= limits.latest_ms:
            continue
        if record_times[i] != limits.no_record_time and time > record_times[i] + limits.most_ahead_ms:
            continue
        rate = 1.0
        if places[CURRENCY, 0] >= 0:
            currency = _find(text, places[CURRENCY, 0], places[CURRENCY, 1], words.currencies)
            if currency < 0:
                continue
            rate = words.rates[currency]
        amount = numbers[AMOUNT] * rate
        balance = np.nan
        if places[BALANCE, 0] >= 0:
            balance = numbers[BALANCE] * rate
        if not abs(amount) <= limits.largest_amount or abs(balance) > limits.largest_amount:
            continue
        found.time_ms[i] = time
        found.amount[i] = amount + 0.0
        found.balance[i] = balance
        found.kind[i] = _find(text, places[TYPE, 0], places[TYPE, 1], words.types)
        start, stop = places[TRANSACTION_ID, 0], places[TRANSACTION_ID, 1]
        digest = _digest(text, start, stop, blake, work)
        high = 0
        low = 0
        for k in range(3):
            high = high << 8 | int((digest >> np.uint64(8 * k)) & np.uint64(255))
            low = low << 8 | int((digest >> np.uint64(8 * (k + 3))) & np.uint64(255))
        found.id_hash[i, 0] = high
        found.id_hash[i, 1] = 1 if high == 0 and low == 0 else low
        found.id_span[i, 0] = start
        found.id_span[i, 1] = stop
        found.taken[i] = True
