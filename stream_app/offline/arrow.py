"""Arrow's columns of texts and ours: the same bytes, not copied."""

import numpy as np
import pyarrow as pa

from stream_app.steps.texts import NONE, Texts


def texts_of(column: pa.Array | pa.ChunkedArray) -> Texts:
    """Return a column of binaries or strings as texts; null is none."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # of no chunk, or of more than fit into one array
        return Texts.of(array.to_pylist())
    _, ends, content = array.buffers()
    if content is None:
        return Texts.of(array.to_pylist())
    places = np.frombuffer(ends, np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    start, stop = places[:-1], places[1:]
    if array.null_count:
        start = np.where(array.is_valid().to_numpy(zero_copy_only=False), start, NONE)
    return Texts(np.frombuffer(content, np.uint8), start, stop)


def strings_of(texts: Texts) -> pa.Array:
    """Return texts, which there are, as a column of strings."""
    packed = texts.packed()
    ends = np.concatenate([[0], packed.stop]).astype(np.int32)
    return pa.StringArray.from_buffers(len(packed), pa.py_buffer(ends), pa.py_buffer(packed.content))
