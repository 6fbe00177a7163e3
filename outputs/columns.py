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
    """Write tables one after the other into one Parquet file, in row groups that do not depend on their sizes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._rows: pa.Table | None = None

    def write(self, rows: pa.Table) -> None:
        """Append ``rows``."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="zstd")
        self._rows = rows if self._rows is None else pa.concat_tables([self._rows, rows])
        while self._rows.num_rows >= ROW_GROUP:
            self._writer.write_table(self._rows.slice(0, ROW_GROUP).combine_chunks())
            self._rows = self._rows.slice(ROW_GROUP)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._writer is None or self._rows is None:
            return
        if self._rows.num_rows:
            self._writer.write_table(self._rows.combine_chunks())
        self._writer.close()
