"""Which replica of a file to read: not one that failed for this item, not a server that keeps failing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..filesets.addresses import server
from .plan import WorkItem

#: A server that failed for so many different files, and delivered none in between, is avoided for the rest of the run.
PATIENCE = 4


class Servers:
    """What the run has learned about the servers it reads from."""

    def __init__(self) -> None:
        #: Server → files that it did not deliver since it last delivered one.
        self._failures: defaultdict[str, set[str]] = defaultdict(set)
        self.avoided: set[str] = set()

    def answered(self, path: str) -> None:
        """Note that a file was read."""
        self._failures[server(path)].clear()

    def failed(self, path: str) -> None:
        """Note that a file could not be read; a local file says nothing of the others."""
        name = server(path)
        self._failures[name].add(path)
        if name and len(self._failures[name]) >= PATIENCE:
            self.avoided.add(name)

    def choose(self, item: WorkItem, tried: Sequence[str] = ()) -> str | None:
        """Return the replica for the next attempt, or None if every replica is on a server that is avoided.

        Those that were not tried come first, then the one whose last attempt is longest ago.
        """
        usable = [path for path in item.replicas if server(path) not in self.avoided]
        fresh = [path for path in usable if path not in tried]
        if fresh:
            return fresh[0]
        return min(usable, key=lambda path: max(place for place, one in enumerate(tried) if one == path), default=None)
