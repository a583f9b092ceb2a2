"""The compiled loop that applies events to rows and reads features from them.

Everything that the spec decides is an argument (``Plan``): numba's cache on disk does not see globals, and a second
spec would silently run with the first one's constants. For the same reason all compiled functions stand in this file.

Bytes do not depend on how a log is cut into chunks, on how customers interleave, on the instruction set or on whether
the loop is compiled: loads are widened to float64 with ``wide``, the arithmetic is + - * / sqrt in a fixed order (no
libm, no ``fastmath``), and a store rounds to float32 once. Times are split into (hour, ms): whole numbers below 2**24,
exact in float32.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.native import prefetch

TRANSACTION: Final = 0
CUSTOMER: Final = 1
FORGET: Final = 2
TICK: Final = 3

NOTHING: Final = 0
SCORED: Final = 1
DUPLICATE: Final = 2

HOURS: Final = 24
DAYS: Final = 30
LAST: Final = 3
IDS: Final = 8
HOUR_MS: Final = 3_600_000.0
NEVER_H: Final = 87_600.0
"""Ten years: the age of what never happened, and the cap of every age."""
NOT_DUE_D: Final = 45.0
"""The distance of an anniversary that cannot be expected: never seen, or silent for more than ``DUE_MEMORY_D`` days."""
DUE_MEMORY_D: Final = 62
SLOWEST: Final = 0.02
"""Smallest weight of a new observation in mean and variance: from the 50th on, an exponential mean."""
Z_LIMIT: Final = 20.0
TINY: Final = 1e-20
"""What is smaller (an amount, a sum, a mean, a variance) is nothing: no denormals."""
KEPT_DAYS: Final = 96
"""So many days a type that may recur is remembered: three months of 31 days, and a little."""
DAY_BITS: Final = 24
"""Days in one number: what float32 holds exactly."""
DAY_WORDS: Final = KEPT_DAYS // DAY_BITS
BACK: Final = 3
"""So many periods back a due day is looked for."""
SOURCES: Final = 3
"""What says that a type is due: that it occurred one period before; two of the last three times; all three times."""
MONTH_D: Final = 31
"""So many days ahead a month is looked through."""
AHEAD: Final = 4
"""So many items before its turn a row is asked for from memory."""
LINE: Final = 16
"""Float32 in a line of the processor's cache."""
UNCHANGED: Final = -2.0
UNKNOWN: Final = -1.0
"""What a ``customer`` record says of an attribute besides a value (never negative): nothing, or that it is unknown."""

# Offsets of the sections in a row: the first ones are the same for every spec, the others are in Plan.at.
CLOCK: Final = 0  # hour and ms of the newest event, count, first hour
OWN: Final = 4  # the same of own-initiated events
REGISTERED: Final = 8  # hour of the first customer record
BALANCE: Final = 9  # known, balance
MOMENTS: Final = 11  # mean and variance of the own gap (hours) and of the own amount, z of the last of each
LATEST: Final = 17  # three times: hour, ms, type + 1, amount
HOUR_RING: Final = 29  # count, in, out
DAY_RING: Final = HOUR_RING + 3 * HOURS  # count, in, out, max
DECAYED: Final = DAY_RING + 4 * DAYS

FloatArray = NDArray[np.float64]
RowMatrix = NDArray[np.float32]


class Plan(NamedTuple):
    """What the spec decides, as arrays.

    Attributes:
        at: int64 [4], where the sections types, attributes, ids and the linear block of a feature row start.
        own: int64 [K], 1 where the customer initiates the type.
        hours: int64, windows in hours.
        days: int64, windows in days.
        rates: float64 [T], 1 / decay constant, per ms.
        numeric: int64 [A], 1 where the attribute is a number.
        levels: int64 [A], how many values a category has (0 for a number).
        periods: int64 [R], the days after which types recur, 0 for a month; none where nothing of it is kept.
        recurring: int64 [3], where the section of the days of types starts and ends, and their columns start.
        first_day: int64 [1], the local day since 1970 at which the calendar starts.
        dates: int64 [D, 2], day of month and length of the month, a row a day.
        season: float32 [D, 4], sine and cosine of the place in the month and in the year.
        week: float32 [168, 4], sine and cosine of the place in the day and in the week, a row an hour.
    """

    at: NDArray[np.int64]
    own: NDArray[np.int64]
    hours: NDArray[np.int64]
    days: NDArray[np.int64]
    rates: FloatArray
    numeric: NDArray[np.int64]
    levels: NDArray[np.int64]
    periods: NDArray[np.int64]
    recurring: NDArray[np.int64]
    first_day: NDArray[np.int64]
    dates: NDArray[np.int64]
    season: RowMatrix
    week: RowMatrix


class Items(NamedTuple):
    """What happens to rows, in log order; n items.

    Attributes:
        op: int64 [n], TRANSACTION, CUSTOMER, FORGET or TICK.
        row: int64 [n], the index of the customer's row.
        hour: int64 [n], local hours since 1970.
        ms: int64 [n], milliseconds in the hour.
        kind: int64 [n], the code of the transaction type.
        amount: float64 [n], in the base currency, negative leaves the customer.
        balance: float64 [n], after the transaction; NaN where unknown.
        id_hash: int64 [n, 2], two numbers below 2**24 that stand for the transaction id, never both 0.
        attributes: float64 [m, A], one row for each CUSTOMER item in order; UNCHANGED or UNKNOWN where no value.
        read_customers: int64 [1], 1 where a CUSTOMER item is scored too.
    """

    op: NDArray[np.int64]
    row: NDArray[np.int64]
    hour: NDArray[np.int64]
    ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    amount: FloatArray
    balance: FloatArray
    id_hash: NDArray[np.int64]
    attributes: FloatArray
    read_customers: NDArray[np.int64]


_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(k) for k in range(12))
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11 = _INVERSE_FACTORIALS[2:]
POW2 = 0.5 ** np.arange(64)


@njit(error_model="numpy")
def decay(x: float) -> float:
    """Return exp(-x) for x >= 0 by exact IEEE steps; 0 where x > 44, which is below 2**-63.

    Cody-Waite reduction by ln 2 and a Taylor polynomial of degree 11: relative error below 1e-7.
    """
    if x > 44.0:  # also what is beyond int64
        return 0.0
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = k * 0.6931471805599453 - x
    p = C8 + r * (C9 + r * (C10 + r * C11))
    p = C4 + r * (C5 + r * (C6 + r * (C7 + r * p)))
    p = 1.0 + r * (1.0 + r * (C2 + r * (C3 + r * p)))
    return float(p * POW2[int(k)])


@njit(error_model="numpy")
def wide(x: float) -> float:
    """Return x as float64: in compiled code ``float`` leaves a float32 what it is."""
    return float(np.float64(x))


@njit(error_model="numpy")
def positive(x: float) -> float:
    """Return x where it is above 0, else +0.0 (``max`` leaves the sign of a zero to the compiler)."""
    return x if x > 0.0 else 0.0


@njit(error_model="numpy")
def large(x: float) -> float:
    """Return x, or +0.0 where it is too small to count."""
    return x if abs(x) > TINY else 0.0


@njit(error_model="numpy")
def elapsed(s: RowMatrix, at: int, hour: float, ms: float) -> float:
    """Return the ms from the time stored at ``s[at]``, ``s[at + 1]`` to (hour, ms); negative where that lies before."""
    return (hour - wide(s[at])) * HOUR_MS + (ms - wide(s[at + 1]))


@njit(error_model="numpy")
def clear_passed(s: RowMatrix, ring: int, slots: int, parts: int, before: int, now: int) -> None:
    """Empty the tiles that the clock has entered on its way from tile ``before`` to tile ``now``."""
    passed = min(now - before, slots)
    j = now % slots
    for _ in range(passed):
        for part in range(parts):
            s[ring + part * slots + j] = 0.0
        j = slots - 1 if j == 0 else j - 1


@njit(error_model="numpy")
def is_repeat(s: RowMatrix, at: int, high: int, low: int) -> bool:
    """Return whether the id is among the remembered ones; if not, remember it in place of the oldest."""
    for slot in range(IDS):
        if int(s[at + 1 + 2 * slot]) == high and int(s[at + 2 + 2 * slot]) == low:
            return True
    place = int(s[at])
    s[at + 1 + 2 * place] = high
    s[at + 2 + 2 * place] = low
    s[at] = (place + 1) % IDS
    return False


@njit(error_model="numpy")
def add_to_tiles(s: RowMatrix, hour: int, newest: int, amount: float) -> None:
    """Count an event in its hour and day, if those are still in the rings."""
    inflow = positive(amount)
    outflow = positive(-amount)
    if newest - hour < HOURS:
        j = HOUR_RING + hour % HOURS
        s[j] = wide(s[j]) + 1.0
        s[j + HOURS] = wide(s[j + HOURS]) + inflow
        s[j + 2 * HOURS] = wide(s[j + 2 * HOURS]) + outflow
    day = hour // 24
    if newest // 24 - day < DAYS:
        j = DAY_RING + day % DAYS
        s[j] = wide(s[j]) + 1.0
        s[j + DAYS] = wide(s[j + DAYS]) + inflow
        s[j + 2 * DAYS] = wide(s[j + 2 * DAYS]) + outflow
        s[j + 3 * DAYS] = max(wide(s[j + 3 * DAYS]), inflow + outflow)


@njit(error_model="numpy")
def clear_type_days(words: RowMatrix, before: int, now: int) -> None:
    """Forget of all types what stood in the place of the days that the clock has entered since day ``before``."""
    for day in range(max(before, now - KEPT_DAYS) + 1, now + 1):
        slot = day % KEPT_DAYS
        kept = ~(1 << (slot % DAY_BITS))
        for k in range(slot // DAY_BITS, len(words), DAY_WORDS):
            words[k] = int(words[k]) & kept


@njit(error_model="numpy")
def add_to_type_days(s: RowMatrix, kind: int, day: int, before: int, plan: Plan) -> None:
    """Note that a type occurred on a day, if the customer initiates it and the day is still remembered.

    Args:
        s: the row, whose clock knows of the event.
        kind: the type.
        day: the event's, since 1970 as all days of this section.
        before: that of the newest event before.
        plan: what the spec decides.
    """
    newest = int(s[CLOCK]) // 24
    words = s[plan.recurring[0] : plan.recurring[1]]
    clear_type_days(words, before, newest)
    if plan.own[kind] == 1 and newest - day < KEPT_DAYS:
        slot = day % KEPT_DAYS
        at = DAY_WORDS * plan.own[:kind].sum() + slot // DAY_BITS
        words[at] = int(words[at]) | (1 << (slot % DAY_BITS))


@njit(error_model="numpy")
def add_to_decayed(sums: RowMatrix, kind: int, amount: float, ages: tuple[float, float], rates: FloatArray) -> None:
    """Let the decayed sums age and add an event.

    They stand as of the start of the newest event's hour and age only when that changes: ageing by the second would be
    lost in float32, whose last bit is more than a year's constant loses in a second.

    Args:
        sums: the section, for each decay constant: inflow, outflow, count per type, amount per type.
        kind: the event's type.
        amount: its signed amount.
        ages: by how many ms the sums age, and how many ms after their time the event lies (before it: negative).
        rates: 1 / decay constant.
    """
    ageing, after = ages
    block = len(sums) // len(rates)
    types = (block - 2) // 2
    for t in range(len(rates)):
        part = sums[t * block : (t + 1) * block]
        rate = float(rates[t])
        if ageing > 0.0:
            g = decay(ageing * rate)
            for k in range(len(part)):
                part[k] = large(wide(part[k]) * g)
        w = 1.0 / decay(after * rate) if after > 0.0 else decay(-after * rate)
        part[0] = large(wide(part[0]) + w * positive(amount))
        part[1] = large(wide(part[1]) + w * positive(-amount))
        part[2 + kind] = large(wide(part[2 + kind]) + w)
        part[2 + types + kind] = large(wide(part[2 + types + kind]) + w * abs(amount))


@njit(error_model="numpy")
def observe(s: RowMatrix, at: int, z_at: int, x: float, seen: float) -> None:
    """Take x into the weighted mean and variance at ``s[at]`` (West 1979), its z-score against the past at ``s[z_at]``.

    The z-score's unit is the standard deviation plus a tenth of the mean: a steady payer's cents raise no alarm.
    """
    mean = wide(s[at])
    variance = wide(s[at + 1])
    delta = x - mean
    z = 0.0
    if seen > 0.0:
        z = delta / (math.sqrt(variance) + 0.1 * mean + 0.01)
    s[z_at] = min(max(z, -Z_LIMIT), Z_LIMIT)
    weight = max(1.0 / (seen + 1.0), SLOWEST)
    s[at] = large(mean + weight * delta)
    s[at + 1] = large((1.0 - weight) * (variance + weight * delta * delta))


@njit(error_model="numpy")
def apply_own(s: RowMatrix, hour: float, ms: float, size: float) -> None:
    """Take an own-initiated event into the activity clock and into mean and variance of gap and amount."""
    seen = wide(s[OWN + 2])
    forward = elapsed(s, OWN, hour, ms)
    if seen > 0.0:
        observe(s, MOMENTS, MOMENTS + 4, positive(forward) / HOUR_MS, seen - 1.0)
    observe(s, MOMENTS + 2, MOMENTS + 5, size, seen)
    if seen == 0.0 or forward >= 0.0:
        s[OWN] = hour
        s[OWN + 1] = ms
    if seen == 0.0 or hour < wide(s[OWN + 3]):
        s[OWN + 3] = hour
    s[OWN + 2] = seen + 1.0


@njit(error_model="numpy")
def remember(s: RowMatrix, at: int, hour: float, ms: float, kind: int, amount: float) -> None:
    """Keep an event among the last three (in log order) and among the last two times of its type."""
    for k in range(4 * LAST - 1, 3, -1):
        s[LATEST + k] = s[LATEST + k - 4]
    s[LATEST] = hour
    s[LATEST + 1] = ms
    s[LATEST + 2] = kind + 1
    s[LATEST + 3] = amount
    b = at + 3 * kind
    if hour >= wide(s[b]):
        s[b + 1] = s[b]
        s[b] = hour
        s[b + 2] = abs(amount)
    elif hour > wide(s[b + 1]):
        s[b + 1] = hour


@njit(error_model="numpy")
def apply_transaction(s: RowMatrix, items: Items, i: int, plan: Plan) -> float:
    """Take transaction ``i`` into the row; return by how many ms it came late."""
    hour = float(items.hour[i])
    ms = float(items.ms[i])
    kind = items.kind[i]
    amount = large(float(items.amount[i]))
    count = wide(s[CLOCK + 2])
    before = int(s[CLOCK])
    forward = elapsed(s, CLOCK, hour, ms) if count > 0.0 else 0.0
    late = positive(-forward)
    if late == 0.0:
        s[CLOCK] = hour
        s[CLOCK + 1] = ms
    s[CLOCK + 2] = count + 1.0
    if count == 0.0 or hour < wide(s[CLOCK + 3]):
        s[CLOCK + 3] = hour
    newest = int(s[CLOCK])
    clear_passed(s, HOUR_RING, HOURS, 3, before, newest)
    clear_passed(s, DAY_RING, DAYS, 4, before // 24, newest // 24)
    add_to_tiles(s, int(hour), newest, amount)
    ages = (float(newest - before) * HOUR_MS, (hour - float(newest)) * HOUR_MS + ms)
    add_to_decayed(s[DECAYED : plan.at[0]], kind, amount, ages, plan.rates)
    if plan.own[kind] == 1:
        apply_own(s, hour, ms, abs(amount))
    remember(s, plan.at[0], hour, ms, kind, amount)
    balance = float(items.balance[i])
    if late == 0.0 and balance == balance:
        s[BALANCE] = 1.0
        s[BALANCE + 1] = large(balance)
    return late


@njit(error_model="numpy")
def apply_customer(s: RowMatrix, hour: int, values: FloatArray, plan: Plan) -> None:
    """Take a customer record into the row: its attributes, and the hour of the first one."""
    if wide(s[REGISTERED]) == 0.0 or hour < wide(s[REGISTERED]):
        s[REGISTERED] = hour
    b = plan.at[1]
    for a in range(len(plan.numeric)):
        value = float(values[a])
        if plan.numeric[a] == 1:
            if value != UNCHANGED:
                s[b] = positive(large(value))
                s[b + 1] = 0.0 if value == UNKNOWN else 1.0
            b += 2
        else:
            if value != UNCHANGED:
                s[b] = value + 1.0
            b += 1


@njit(error_model="numpy")
def read_sums(rings: RowMatrix, slots: int, newest: int, now: int, windows: NDArray[np.int64], o: RowMatrix) -> None:
    """Write the sums of three rings over windows that end with tile ``now`` into three columns a window.

    Tiles are added newest first, the three sums side by side: each waits for its own additions only.

    Args:
        rings: three rings of numbers, one behind the other; tile k of each stands at k modulo its length.
        slots: their length.
        newest: the newest tile in them.
        now: the tile of reading.
        windows: lengths in tiles, ascending.
        o: the columns from the first window's on.
    """
    first_sum = 0.0
    second_sum = 0.0
    third_sum = 0.0
    tile = newest
    j = newest % slots
    for w in range(len(windows)):
        left = tile - max(now - windows[w] + 1, newest - slots + 1) + 1
        tile -= max(left, 0)
        while left > 0:
            run = min(left, j + 1)  # up to where the ring starts again
            for k in range(j, j - run, -1):
                first_sum += wide(rings[k])
                second_sum += wide(rings[k + slots])
                third_sum += wide(rings[k + 2 * slots])
            left -= run
            j = slots - 1 if run > j else j - run
        o[3 * w] = first_sum
        o[3 * w + 1] = second_sum
        o[3 * w + 2] = third_sum


@njit(error_model="numpy")
def read_largest(ring: RowMatrix, newest: int, now: int, windows: NDArray[np.int64], o: RowMatrix) -> None:
    """Write the largest tile of a ring over windows that end with tile ``now``, a column a window.

    Args:
        ring: one number a tile; tile k stands at k modulo its length.
        newest: the newest tile in it.
        now: the tile of reading.
        windows: lengths in tiles, ascending.
        o: the columns from the first window's on.
    """
    slots = len(ring)
    top = 0.0
    tile = newest
    j = newest % slots
    for w in range(len(windows)):
        left = tile - max(now - windows[w] + 1, newest - slots + 1) + 1
        tile -= max(left, 0)
        while left > 0:
            run = min(left, j + 1)  # up to where the ring starts again
            for k in range(j, j - run, -1):
                x = wide(ring[k])
                top = x if x > top else top
            left -= run
            j = slots - 1 if run > j else j - run
        o[w] = top


@njit(error_model="numpy")
def read_windows(s: RowMatrix, hour: int, hours: NDArray[np.int64], days: NDArray[np.int64], o: RowMatrix) -> int:
    """Write count, in, out and largest amount of each window that ends with this tile; return the next column."""
    newest = int(s[CLOCK])
    read_sums(s[HOUR_RING:DAY_RING], HOURS, newest, hour, hours, o)
    q = 3 * len(hours)
    read_sums(s[DAY_RING:DECAYED], DAYS, newest // 24, hour // 24, days, o[q:])
    q += 3 * len(days)
    read_largest(s[DAY_RING + 3 * DAYS : DECAYED], newest // 24, hour // 24, days, o[q:])
    return q + len(days)


@njit(error_model="numpy")
def read_decayed(sums: RowMatrix, since: float, rates: FloatArray, o: RowMatrix) -> None:
    """Write the decayed sums as they are ``since`` ms after the start of the newest event's hour."""
    block = len(sums) // len(rates)
    for t in range(len(rates)):
        g = decay(since * float(rates[t]))
        part = sums[t * block : (t + 1) * block]
        to = o[t * block : (t + 1) * block]
        for k in range(len(part)):
            to[k] = large(wide(part[k]) * g)


@njit(error_model="numpy")
def age_h(s: RowMatrix, at: int, known: bool, hour: float, ms: float) -> float:
    """Return the hours since the time stored at ``s[at]``, at most ``NEVER_H``, which also stands for never."""
    if not known:
        return NEVER_H
    return min(positive(elapsed(s, at, hour, ms)) / HOUR_MS, NEVER_H)


@njit(error_model="numpy")
def whole_hours(since: float, hour: float) -> float:
    """Return whole hours from a stored hour to ``hour``, at most ``NEVER_H``; 0 stored means never."""
    if since == 0.0:
        return NEVER_H
    return min(positive(hour - since), NEVER_H)


@njit(error_model="numpy")
def read_clocks(s: RowMatrix, hour: float, ms: float, late: float, o: RowMatrix, q: int) -> int:
    """Write ages, counts, means and deviations, lateness and balance; return the next column."""
    seen = wide(s[CLOCK + 2])
    own = wide(s[OWN + 2])
    o[q] = age_h(s, CLOCK, seen > 0.0, hour, ms)
    o[q + 1] = age_h(s, OWN, own > 0.0, hour, ms)
    o[q + 2] = whole_hours(wide(s[CLOCK + 3]), hour)
    o[q + 3] = whole_hours(wide(s[OWN + 3]), hour)
    o[q + 4] = whole_hours(wide(s[REGISTERED]), hour)
    o[q + 5] = seen
    o[q + 6] = own
    o[q + 7] = s[MOMENTS]
    o[q + 8] = math.sqrt(wide(s[MOMENTS + 1]))
    o[q + 9] = s[MOMENTS + 2]
    o[q + 10] = math.sqrt(wide(s[MOMENTS + 3]))
    o[q + 11] = late / HOUR_MS
    o[q + 12] = positive(wide(s[BALANCE + 1]))
    o[q + 13] = positive(-wide(s[BALANCE + 1]))
    return q + 14


@njit(error_model="numpy")
def read_last(s: RowMatrix, hour: float, ms: float, o: RowMatrix, flags: RowMatrix) -> None:
    """Write age and amount of the last events into ``o``, their signs and then their types into ``flags``."""
    types = len(flags) // LAST - 1
    for k in range(len(flags)):
        flags[k] = 0.0
    for back in range(LAST):
        b = LATEST + 4 * back
        amount = wide(s[b + 3])
        kind = int(s[b + 2]) - 1
        o[2 * back] = age_h(s, b, kind >= 0, hour, ms)
        o[2 * back + 1] = abs(amount)
        if amount != 0.0:
            flags[back] = 1.0 if amount > 0.0 else -1.0
        if kind >= 0:
            flags[LAST + back * types + kind] = 1.0


@njit(error_model="numpy")
def month_of(day: int, dates: NDArray[np.int64]) -> tuple[int, int, int]:
    """Return the first day of a day's month, its length, and the length of the next one."""
    start = day - dates[day, 0] + 1
    length = dates[day, 1]
    return start, length, dates[min(start + length, len(dates) - 1), 1]


@njit(error_model="numpy")
def due_in_days(last: int, day: int, month: tuple[int, int, int], dates: NDArray[np.int64]) -> float:
    """Return the days from ``day`` to the next monthly anniversary of ``last``: its day of month, cut to the month.

    All days count from the calendar's first day. No branch depends on the days: what a processor cannot foresee costs
    more than to compute both.

    Args:
        last: the day of what recurs; any that is too long ago, before the calendar too, is not expected again.
        day: of reading.
        month: that of ``day``, as of ``month_of``.
        dates: the calendar.
    """
    start, length, following = month
    expected = day - last <= DUE_MEMORY_D
    wanted = dates[last if expected else day, 0]
    this = start + min(wanted, length) - 1
    then = start + length + min(wanted, following) - 1
    due = this if (this >= day) & (this > last) else then
    return float(due - day) if expected else NOT_DUE_D


@njit(error_model="numpy")
def read_types(last_times: RowMatrix, hours: tuple[int, int], plan: Plan, o: RowMatrix, due_flags: RowMatrix) -> float:
    """Write age, gap and amount of each type's last event, days to its monthly anniversary, and which is due first.

    Args:
        last_times: the section: last hour, hour before it and last amount of each type.
        hours: the hour of reading, and the calendar's first day.
        plan: what the spec decides.
        o: three columns a type.
        due_flags: days to the anniversary of each type, then 1 for the own-initiated type that is due first.

    Returns:
        The days to the first anniversary of an own-initiated type.
    """
    own = plan.own
    dates = plan.dates
    hour, base = hours
    types = len(own)
    day = hour // 24 - base
    month = month_of(day, dates)
    first = -1
    soonest = NOT_DUE_D
    for kind in range(types):
        last = wide(last_times[3 * kind])
        o[3 * kind] = whole_hours(last, float(hour))
        o[3 * kind + 1] = whole_hours(wide(last_times[3 * kind + 1]), last)
        o[3 * kind + 2] = last_times[3 * kind + 2]
        due = due_in_days(int(last) // 24 - base, day, month, dates)
        due_flags[kind] = due
        due_flags[types + kind] = 0.0
        if own[kind] == 1 and due < soonest:
            soonest = due
            first = kind
    if first >= 0:
        due_flags[types + first] = 1.0
    return soonest


@njit(error_model="numpy")
def past_days(words: RowMatrix, today: int, newest: int) -> tuple[int, int]:
    """Return on which of the 96 days up to today a type occurred: two numbers of 48 bits, earlier days first.

    Args:
        words: what is remembered of the type.
        today: the day of reading, from which bit 47 of the second number is.
        newest: that of the newest event: places of later days still hold what was 96 days before.
    """
    half = KEPT_DAYS // 2
    slot = (today + 1) % KEPT_DAYS
    word = slot // DAY_BITS
    bit = slot % DAY_BITS
    first = int(words[word])
    second = int(words[(word + 1) % DAY_WORDS])
    third = int(words[(word + 2) % DAY_WORDS])
    fourth = int(words[(word + 3) % DAY_WORDS])
    full = (1 << half) - 1
    old = ((first >> bit) | (second << (DAY_BITS - bit)) | (third << (2 * DAY_BITS - bit))) & full
    new = ((third >> bit) | (fourth << (DAY_BITS - bit)) | (first << (2 * DAY_BITS - bit))) & full
    silent = min(today - newest, KEPT_DAYS)
    new &= full >> min(silent, half)
    old &= full >> max(silent - half, 0)
    return old, new


@njit(error_model="numpy")
def days_from(past: tuple[int, int], first: int, days: int) -> int:
    """Return ``days`` of the past, the lowest bit for the day that lies ``first`` after the earliest; at most 31."""
    if days <= 0:
        return 0
    old, new = past
    half = KEPT_DAYS // 2
    found = (old >> first) | (new << (half - first)) if first < half else new >> (first - half)
    return found & ((1 << days) - 1)


@njit(error_model="numpy")
def month_starts(day: int, dates: NDArray[np.int64]) -> tuple[int, int, int, int, int]:
    """Return the first days of the months from three before a day's to the one after it, as days of the calendar."""
    this = day - dates[day, 0] + 1
    last = this - dates[this - 1, 1]
    second = last - dates[last - 1, 1]
    return second - dates[second - 1, 1], second, last, this, this + dates[this, 1]


@njit(error_model="numpy")
def cut_to(days: int, length: int) -> int:
    """Return the days of one month in one of ``length``: those that it does not have fall on its last day.

    Both months may have lost the same days at their start; where nothing is left, there is none.
    """
    if length <= 0:
        return 0
    last = 1 << (length - 1)
    return (days & (last - 1)) | (last if days >= last else 0)


@njit(error_model="numpy")
def due_by_month(
    past: tuple[int, int], back: int, today: int, starts: tuple[int, int, int, int, int], dates: NDArray[np.int64]
) -> int:
    """Return a number whose bit i says whether tomorrow + i is a monthly anniversary of a day ``back`` months before.

    The rest of this month and the next one are looked through, 31 days in all.

    Args:
        past: as of ``past_days``.
        back: months.
        today: the day of the calendar.
        starts: as of ``month_starts``.
        dates: the calendar.
    """
    earliest = today - KEPT_DAYS + 1
    passed = int(dates[today, 0])
    rest = int(dates[today, 1]) - passed
    source = starts[BACK - back]
    this = cut_to(days_from(past, source + passed - earliest, dates[source, 1] - passed), rest)
    source = starts[BACK - back + 1]
    following = cut_to(days_from(past, source - earliest, dates[source, 1]), dates[starts[BACK + 1], 1])
    return (this | (following << rest)) & ((1 << MONTH_D) - 1)


@njit(error_model="numpy")
def first_day_of(days: int) -> float:
    """Return the number, from 1 on, of the lowest bit of a number below 2**31; where there is none, not due.

    The bits below it are counted side by side (Warren, Hacker's Delight, 5-1), without a branch.
    """
    n = (days & -days) - 1
    n -= (n >> 1) & 0x55555555
    n = (n & 0x33333333) + ((n >> 2) & 0x33333333)
    n = (n + (n >> 4)) & 0x0F0F0F0F
    n = ((n * 0x01010101) >> 24) & 0xFF
    return float(n + 1) if days != 0 else NOT_DUE_D


@njit(error_model="numpy")
def write_after(o: RowMatrix, types: int) -> None:
    """Write how many days after the first of all types each is due, and when that first one is.

    Args:
        o: the days to each type, then a column for each type's distance from the first, then one for the first.
        types: how many.
    """
    first = NOT_DUE_D
    for k in range(types):
        first = min(first, wide(o[k]))
    for k in range(types):
        due = wide(o[k])
        o[types + k] = due - first if due < NOT_DUE_D else NOT_DUE_D
    o[2 * types] = first


@njit(error_model="numpy")
def read_recurring(s: RowMatrix, day: int, plan: Plan, o: RowMatrix) -> None:
    """Write when each own-initiated type is due if it recurs as it did, for each period and each source.

    Today is not looked at: of it, ``read_types`` tells.

    Args:
        s: the row.
        day: of reading, since 1970.
        plan: what the spec decides.
        o: the feature row.
    """
    dates = plan.dates
    today = day - plan.first_day[0]
    newest = int(s[CLOCK]) // 24
    words = s[plan.recurring[0] : plan.recurring[1]]
    o = o[plan.recurring[2] :]
    types = len(words) // DAY_WORDS
    block = 2 * types + 1
    starts = month_starts(today, dates)
    for k in range(types):
        past = past_days(words[DAY_WORDS * k : DAY_WORDS * (k + 1)], day, newest)
        for r in range(len(plan.periods)):
            period = plan.periods[r]
            if period == 0:
                one = due_by_month(past, 1, today, starts, dates)
                two = due_by_month(past, 2, today, starts, dates)
                three = due_by_month(past, 3, today, starts, dates)
            else:
                one = days_from(past, KEPT_DAYS - period, period)
                two = days_from(past, KEPT_DAYS - 2 * period, period)
                three = days_from(past, KEPT_DAYS - 3 * period, period)
            at = r * SOURCES * block + k
            o[at] = first_day_of(one)
            o[at + block] = first_day_of((one & two) | (one & three) | (two & three))
            o[at + 2 * block] = first_day_of(one & two & three)
    for part in range(len(plan.periods) * SOURCES):
        write_after(o[part * block : (part + 1) * block], types)


@njit(error_model="numpy")
def read_attributes(
    facts: RowMatrix, numeric: NDArray[np.int64], levels: NDArray[np.int64], o: RowMatrix, flags: RowMatrix
) -> None:
    """Write numbers into ``o``, whether they are known and then categories into ``flags``; fill both with zeros."""
    b = 0
    q = 0
    p = 0
    for a in range(len(numeric)):
        p += numeric[a]
    for k in range(len(o)):
        o[k] = 0.0
    for k in range(len(flags)):
        flags[k] = 0.0
    for a in range(len(numeric)):
        if numeric[a] == 1:
            o[q] = facts[b]
            flags[q] = facts[b + 1]
            q += 1
            b += 2
        else:
            known = int(facts[b])
            if known > 0:
                flags[p + known - 1] = 1.0
            p += levels[a]
            b += 1


@njit(error_model="numpy")
def read_deviations(s: RowMatrix, hour: float, ms: float, o: RowMatrix) -> None:
    """Write the z-scores of the last own gap and amount and of the present silence, and whether a balance is known."""
    silence = age_h(s, OWN, wide(s[OWN + 2]) > 0.0, hour, ms)
    mean = wide(s[MOMENTS])
    z = (silence - mean) / (math.sqrt(wide(s[MOMENTS + 1])) + 0.1 * mean + 0.01)
    o[0] = s[MOMENTS + 4]
    o[1] = s[MOMENTS + 5]
    o[2] = min(max(z, -Z_LIMIT), Z_LIMIT)
    o[3] = s[BALANCE]


@njit(error_model="numpy")
def read(s: RowMatrix, hour: int, ms: int, late: float, plan: Plan, o: RowMatrix) -> None:
    """Write the features of a row as of (hour, ms), not before its newest event; the row stays as it is."""
    h = float(hour)
    m = float(ms)
    types = len(plan.own)
    base = plan.first_day[0]
    flags = o[plan.at[3] :]
    o = o[: plan.at[3]]
    q = read_windows(s, hour, plan.hours, plan.days, o)
    sums = s[DECAYED : plan.at[0]]
    read_decayed(sums, (h - wide(s[CLOCK])) * HOUR_MS + m, plan.rates, o[q:])
    q = read_clocks(s, h, m, late, o, q + len(sums))
    read_deviations(s, h, m, flags)
    for k in range(4):
        flags[4 + k] = plan.week[hour % 168, k]
        flags[8 + k] = plan.season[hour // 24 - base, k]
    p = 13 + LAST + LAST * types
    read_last(s, h, m, o[q:], flags[13:p])
    q += 2 * LAST
    flags[12] = read_types(s[plan.at[0] : plan.at[1]], (hour, base), plan, o[q:], flags[p:])
    read_attributes(s[plan.at[1] : plan.at[2]], plan.numeric, plan.levels, o[q + 3 * types :], flags[p + 2 * types :])


@njit(cache=True, nogil=True, error_model="numpy")
def step(state: RowMatrix, items: Items, plan: Plan, out: RowMatrix, verdict: NDArray[np.int64]) -> None:
    """Apply items to rows in order, in place; write the features right after each scored item.

    Args:
        state: float32 [rows, row width], changed in place.
        items: n items; every ``row`` must be a valid index, every time within the calendar (both are checked before).
        plan: what the spec decides.
        out: float32 [n, feature width]; row i is written where verdict[i] is SCORED, and left alone elsewhere.
        verdict: int64 [n], set to NOTHING, SCORED or DUPLICATE.
    """
    records = 0
    n = len(items.op)
    for i in range(n):
        if i + AHEAD < n:
            later = state[items.row[i + AHEAD]]
            for k in range(0, len(later), LINE):
                prefetch(later, k)
        s = state[items.row[i]]
        op = items.op[i]
        hour = items.hour[i]
        ms = items.ms[i]
        late = 0.0
        verdict[i] = SCORED
        if op == FORGET:
            for k in range(
                max(plan.at[2] + 1 + 2 * IDS, plan.recurring[1])
            ):  # the alert memory behind it belongs to the alerts step
                s[k] = 0.0
            verdict[i] = NOTHING
        elif op == CUSTOMER:
            apply_customer(s, hour, items.attributes[records], plan)
            records += 1
            if items.read_customers[0] == 0:
                verdict[i] = NOTHING
        elif op == TRANSACTION:
            if is_repeat(s, plan.at[2], items.id_hash[i, 0], items.id_hash[i, 1]):
                verdict[i] = DUPLICATE
            else:
                before = int(s[CLOCK]) // 24
                late = apply_transaction(s, items, i, plan)
                if len(plan.periods) > 0:
                    add_to_type_days(s, items.kind[i], hour // 24, before, plan)
        elif wide(s[CLOCK + 2]) == 0.0 and wide(s[REGISTERED]) == 0.0:
            verdict[i] = NOTHING
        if verdict[i] == SCORED:
            if elapsed(s, CLOCK, float(hour), float(ms)) < 0.0:
                hour = int(s[CLOCK])
                ms = int(s[CLOCK + 1])
            read(s, hour, ms, late, plan, out[i])
            if len(plan.periods) > 0:
                read_recurring(s, hour // 24, plan, out[i])
