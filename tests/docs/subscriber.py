"""Prints each score and alert once, as soon as it is committed."""

import asyncio
import json
import os

from aiokafka import AIOKafkaConsumer

OPTIONS = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}


async def main() -> None:
    seen = set()  # of a long life: keep the ids of some hours only
    broker = os.environ.get("FORETELL_KAFKA", "localhost:9092")
    async with AIOKafkaConsumer("scores", "alerts", bootstrap_servers=broker, **OPTIONS) as consumer:
        async for record in consumer:
            message = json.loads(record.value)
            name = message.get("alert_id") or message["score_id"]
            if name not in seen:
                seen.add(name)
                print(record.topic, name, message["customer_id"], flush=True)


asyncio.run(main())
