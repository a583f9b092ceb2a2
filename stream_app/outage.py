"""How clients of aiokafka 0.14 get through the time in which brokers are away."""

import asyncio
import contextlib
import math
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

AGAIN_S: Final = 0.2
STOP_S: Final = 2.0
_CUT_S: Final = 0.1


def pace_metadata(client: AIOKafkaClient, again_s: float = AGAIN_S) -> None:
    """Let a client that reaches no broker look for one a few times a second.

    Once a broker has announced its leave, partitions have no leader, and producers and consumers ask for another one
    without a pause: one client then takes a whole core until a broker is back.
    """
    ask = client._metadata_update  # noqa: SLF001  (where all of its askings come together; there is no option)

    async def ask_and_wait(*wanted: Any) -> bool:  # noqa: ANN401  (passed on)
        answered: bool = await ask(*wanted)
        if not answered:
            await asyncio.sleep(again_s)
        return answered

    client._metadata_update = ask_and_wait  # noqa: SLF001  (as above)


def never_expire(producer: AIOKafkaProducer) -> None:
    """Let an idempotent producer try again for as long as its brokers are away.

    It repeats batches that were sent for ever, but gives up one that has waited for a leader longer than the request
    time-out. The numbers of its records are used up by then, so the broker refuses all that comes later. A batch that
    is never given up is sent again with its numbers, and the broker takes it once.
    """
    producer._message_accumulator._batch_ttl = math.inf  # noqa: SLF001  (it is the request time-out; there is no option)


async def stop_producer(producer: AIOKafkaProducer, within_s: float = STOP_S) -> None:
    """Stop a producer, started or not, in any state: what it has not delivered by then is given up.

    Its own ``stop`` waits until all has been delivered; when that is cut short, tasks of it live on and go on sending.
    """
    try:
        async with asyncio.timeout(within_s):
            await producer.flush()
            await producer.stop()
    except (TimeoutError, KafkaError):
        producer._closed = True  # noqa: SLF001  (else it complains that nobody stopped it)
        # A sender that is told to end waits for what it sends; cutting that wait short ends what it sends as well.
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer._sender.close(), _CUT_S)  # noqa: SLF001  (`stop` is the only public way)
        await producer.client.close()
    _see_failure(producer)


def _see_failure(producer: AIOKafkaProducer) -> None:
    """Look at how a transaction failed: nobody else may have, and asyncio would complain of it later."""
    transactions = producer._txn_manager  # noqa: SLF001  (what fails in the background is told nowhere else)
    end = None if transactions is None else transactions.wait_for_transaction_end()
    if end is not None and end.done() and not end.cancelled():
        end.exception()
