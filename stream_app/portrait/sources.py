"""Where rows for portraits come from: the store of running workers, or a log that is replayed. Both are only read."""

import asyncio
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import BundleError, InputError
from schemas.portrait import Portrait
from stream_app.bundle import Bundle
from stream_app.offline.log import Log, partition_of
from stream_app.offline.replay import emissions
from stream_app.portrait.history import end_ms, history
from stream_app.portrait.portrait import portrait
from stream_app.portrait.preferences import Catalogue
from stream_app.portrait.served import Served
from stream_app.settings import Settings, variable
from stream_app.shelf import Shelf
from stream_app.steps.decode import Vocabulary
from stream_app.store.connect import connect
from stream_app.store.port import Marker, RowStore, StoreError, Stores
from stream_app.store.spread import partitions_kept

ANSWER_S: Final = 10.0
"""A store that does not answer for so long is not waited for: somebody sits there and wants a portrait."""
"""Markers that are asked for together."""


async def from_store(
    settings: Settings,
    shelf: Shelf,
    customer: str,
    at_ms: int,
    products: Catalogue = (),
    language: str | None = None,
) -> Portrait:
    """Return a customer's portrait from the store that the settings name, as far as workers have written it.

    Args:
        settings: where the store is; group and input topic of the workers.
        shelf: a bundle in the layout of the rows; the one in force is looked for on it.
        customer: the id.
        at_ms: as of when, epoch ms, but not before the customer's newest transaction.
        products: the catalogue, if there is one.
        language: of the reasons; default: the spec's.

    Raises:
        InputError: there are no rows, or none of this customer.
        BundleError: the bundle in force is not on the shelf.
        StoreError: the store refuses us, does not answer in time, or holds something else.
    """
    stores = connect(settings)
    try:
        async with asyncio.timeout(ANSWER_S):
            row, bundle = await kept(stores, settings, shelf, customer)
    except TimeoutError as error:
        silent = f"Expected an answer of the store within {ANSWER_S:g} s, found none; look after it."
        raise StoreError(stores.problem or silent) from error
    finally:
        await stores.close()
    return portrait(customer, row, at_ms, Served.of(shelf, bundle, language), products)


def from_log(
    log: Log,
    shelf: Shelf,
    customer: str,
    at_ms: int | None = None,
    products: Catalogue = (),
    language: str | None = None,
) -> Portrait:
    """Return a customer's portrait from a log, replayed up to a time.

    Args:
        log: an interchange folder or a captured topic.
        shelf: the bundle to start with, and those that the log activates.
        customer: the id.
        at_ms: as of when, epoch ms; None for the latest event of the log, or where it stops telling of the customer.
        products: the catalogue, if there is one.
        language: of the reasons; default: the spec's.

    Raises:
        InputError: nothing is known of the customer then, or the log cannot be used.
        BundleError: the log activates a bundle that is not on the shelf or has another layout.
    """
    vocabulary = Vocabulary(shelf.first.spec)
    time_ms = end_ms(log, customer, vocabulary) if at_ms is None else at_ms
    name, ends = customer.encode(), deque(emissions(history(log, customer, time_ms, vocabulary), shelf), maxlen=1)
    if not ends or ends[0][2].residents.missing([name]):
        message = (
            "Expected a customer of whom the log knows something as of that time, found nothing; correct the id or the "
            "time."
        )
        raise InputError(message)
    scorer = ends[0][2]
    row = scorer.residents.matrix[scorer.residents.places([name])[0]]
    return portrait(customer, row, time_ms, Served.of(shelf, scorer.bundle, language), products)


async def kept(stores: Stores, settings: Settings, shelf: Shelf, customer: str) -> tuple[NDArray[np.float32], Bundle]:
    """Return a customer's row as a store keeps it, and the bundle in force; the owner of the rows goes on with them.

    Raises:
        InputError: there are no rows, or none of this customer.
        BundleError: the bundle in force is not on the shelf.
        StoreError: the store refuses us, or holds something else.
    """
    layout = shelf.first.rolling.layout

    def opened(partition: int) -> RowStore:
        return stores.open(settings.transactions_topic, partition, layout.hash, layout.row_width)

    partitions = await partitions_kept(opened)
    if not partitions:
        message = (
            f"Expected rows of group {settings.group} and topic {settings.transactions_topic} in state layout "
            f"{layout.hash}, found none; start a worker with this bundle, or correct {variable('group')}, "
            f"{variable('transactions_topic')} or {variable('bundle')}."
        )
        raise InputError(message)
    partition = partition_of(customer.encode(), partitions)
    found, rows = await opened(partition).read([customer.encode()])
    marker = Marker.decode(found)
    if not rows.any():
        message = (
            f"Expected a customer who has a row in {settings.transactions_topic}-{partition}, found none as of offset "
            f"{marker.flushed}; correct the id, or wait until workers have got there."
        )
        raise InputError(message)
    return rows[0], _in_force(marker, shelf)


def _in_force(marker: Marker, shelf: Shelf) -> Bundle:
    bundle = shelf.find(marker.bundle) if marker.bundle else shelf.first
    if bundle is None:
        message = (
            f"Expected the bundle {marker.bundle}, which is in force, in {shelf.folder}, found it not there; put its "
            f"folder there, or name another place in {variable('bundles')}."
        )
        raise BundleError(message)
    if bundle.manifest.layout != shelf.first.manifest.layout:
        message = (
            f"Expected state layout {shelf.first.manifest.layout} of the bundle in force, found "
            f"{bundle.manifest.layout}; start with the bundle that the workers were started with."
        )
        raise BundleError(message)
    return bundle
