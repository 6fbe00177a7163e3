"""Event columns: what a processor returns for each selected event, and how it gets to Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: Rows of a row group of the final file.
ROW_GROUP = 131_072


def table(**columns: Any) -> list[ak.Array]:
    """Return columns of equal length as the value of ``columns`` in a processor's result.

    Args:
        columns: name → ``[events]`` or ``[events, objects]``.

    Returns:
        A list of one record array, so that coffea's accumulator appends chunk to chunk. The arrays are detached
        from the events they come from: nothing of a chunk stays open or in memory behind them.
    """
    detached = {name: ak.Array(ak.to_packed(_plain(values)).layout) for name, values in columns.items()}
    return [ak.zip(detached, depth_limit=1)]


def _plain(values: Any) -> ak.Array:
    array = values if isinstance(values, ak.Array) else ak.Array(np.asarray(values))
    return ak.without_parameters(array)


def to_arrow(parts: list[ak.Array]) -> pa.Table:
    """Return the rows of ``parts`` as one Arrow table of plain types, without awkward's own annotations."""
    tables = [pa.table({name: ak.to_arrow(part[name], extensionarray=False) for name in part.fields}) for part in parts]
    return pa.concat_tables(tables)


class ColumnWriter:
    """Write tables one after the other into one Parquet file, in row groups that do not depend on their sizes.

    What waits in memory is less than a row group and one table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def write(self, rows: pa.Table) -> None:
        """Append ``rows``.

        Raises:
            ValueError: their columns are not those of the rows before.
        """
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="zstd")
        elif not rows.schema.equals(self._writer.schema):
            both = (self._writer.schema, rows.schema)
            before, now = (", ".join(f"{one.name}: {one.type}" for one in schema) for schema in both)
            raise ValueError(f"the columns are {now}, and were {before} before")
        self._waiting.append(rows)
        self._rows += rows.num_rows
        if self._rows >= ROW_GROUP:
            self._flush(self._writer)

    def _flush(self, writer: pq.ParquetWriter) -> None:
        """Write whole row groups and keep the rest."""
        rows = pa.concat_tables(self._waiting)
        whole = rows.num_rows - rows.num_rows % ROW_GROUP
        for first in range(0, whole, ROW_GROUP):
            writer.write_table(rows.slice(first, ROW_GROUP).combine_chunks())
        self._waiting = [rows.slice(whole)]
        self._rows -= whole

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._writer is None:
            return
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._writer.close()
