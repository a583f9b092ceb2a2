"""What there is to say about the store of the rows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from stream_app.checkup.finding import Finding, fail, ok, warn
from stream_app.settings import Settings, SettingsError
from stream_app.store.connect import connect
from stream_app.store.port import StoreError, StoreFacts, store_problems, store_warnings

LOOK_S: Final = 6.0
SKEW_S: Final = 5.0
"""Clocks that differ by so much: ticks come early or late, and records of today may be refused as of tomorrow."""
_SUBJECT: Final = "store"


async def store_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is to be said about Redis."""
    try:
        stores = connect(settings)
    except SettingsError as error:
        yield fail(_SUBJECT, str(error))
        return
    try:
        async with asyncio.timeout(LOOK_S):
            facts = await stores.facts()
    except TimeoutError:
        yield fail(_SUBJECT, stores.problem or f"Expected an answer within {LOOK_S:g} s, found none; look after it.")
    except StoreError as error:
        yield fail(_SUBJECT, str(error))
    else:
        for finding in of_facts(facts):
            yield finding
    finally:
        await stores.close()


def of_facts(facts: StoreFacts) -> list[Finding]:
    """Return what follows from what a store says of itself."""
    if facts.server == "memory":
        text = (
            "Expected a Redis, found memory://: rows are lost with each worker and taken in again from the log; "
            "name one for anything but trying out."
        )
        return [warn(_SUBJECT, text)]
    problems, warnings = store_problems(facts), store_warnings(facts)
    found = [fail(_SUBJECT, text) for text in problems] + [warn(_SUBJECT, text) for text in warnings]
    if abs(facts.skew_s) > SKEW_S:
        found.append(
            warn(
                "clock",
                f"Expected the clocks of this machine and of {facts.server} to agree, found them "
                f"{abs(facts.skew_s):.0f} s apart; let both follow a time server.",
            )
        )
    if not found:
        limit = f"maxmemory {facts.maxmemory_bytes:,}" if facts.maxmemory_bytes else "no maxmemory"
        cluster = " (a Cluster)" if facts.cluster else ""
        found.append(ok(_SUBJECT, f"{facts.server} {facts.version}{cluster}, {limit}, appendonly, clocks agree"))
    return found
