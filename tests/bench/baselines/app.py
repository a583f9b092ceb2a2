"""The two Faust applications.

python -m tests.bench.baselines.app tutorial|engineer BUNDLE, with the settings of a worker in the environment.
"""

import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import faust
import redis.asyncio

from schemas import codec
from stream_app import bundle, settings
from stream_app.settings import Settings
from tests.bench.baselines.job import Job

TAKEN = 256
WITHIN_S = 0.05


def make(chosen: Settings, way: str, job: Job) -> faust.App:
    """Return an application that does the job one of the two ways."""
    _, port = chosen.web.rsplit(":", 1)
    app = faust.App(
        chosen.group,
        broker="kafka://" + chosen.kafka,
        store="memory://",
        value_serializer="raw",
        key_serializer="raw",
        web_bind="127.0.0.1",
        web_port=int(port),
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.gettempdir(),
    )
    names = (chosen.transactions_topic, chosen.scores_topic, chosen.alerts_topic)
    transactions, scores, alerts = (app.topic(name, value_serializer="raw", key_serializer="raw") for name in names)
    store: Any = redis.asyncio.Redis.from_url(chosen.redis, protocol=2)

    async def tutorial(stream: Any) -> AsyncIterator[None]:  # noqa: ANN401  (Faust's)
        async for value in stream:
            key = codec.facts(value)["customer_id"].encode()
            scored = job.score([value], [key], [await store.get(key)])
            for name, message in scored.scores:
                _ = await scores.send(key=name, value=message)
            for name, message in scored.alerts:
                _ = await alerts.send(key=name, value=message)
            await store.set(key, scored.rows[0])
            yield

    async def engineer(stream: Any) -> AsyncIterator[None]:  # noqa: ANN401  (Faust's)
        async for values in stream.take(TAKEN, within=WITHIN_S):
            keys = list(dict.fromkeys(codec.facts(value)["customer_id"].encode() for value in values))
            scored = job.score(values, keys, await store.mget(keys))
            for name, message in scored.scores:
                _ = await scores.send(key=name, value=message)
            for name, message in scored.alerts:
                _ = await alerts.send(key=name, value=message)
            await store.mset(dict(zip(keys, scored.rows, strict=True)))
            yield

    app.agent(transactions)({"tutorial": tutorial, "engineer": engineer}[way])
    return app


def main() -> None:
    """Run until a signal comes."""
    way, folder = sys.argv[1:]
    app = make(settings.load(), way, Job(bundle.load(Path(folder))))
    worker = faust.Worker(app, loglevel="WARN", quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
