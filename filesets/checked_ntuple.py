"""Checksums of RNTuple: uproot checks those of header and footer, this class those of page lists and pages as well.

The format has a 64-bit XXH3 at the end of each page list, and after each page where the page list says so
(https://github.com/root-project/root/blob/master/tree/ntuple/doc/BinaryFormatSpecification.md). Private names of uproot
are used here alone; a test that damages pages fails if they change.
"""

from __future__ import annotations

from typing import Any

import uproot
import xxhash
from uproot.models.RNTuple import Model_ROOT_3a3a_RNTuple

CHECKSUM_BYTES = 8


class CheckedNtuple(Model_ROOT_3a3a_RNTuple):
    """An RNTuple of which no byte that has a checksum is believed without it."""

    @property
    def encoded_classname(self) -> str:
        """The name of the class that this one stands for; uproot derives the class in the file from it."""
        return Model_ROOT_3a3a_RNTuple.__name__

    @property
    def page_list_envelopes(self) -> Any:
        """The page lists, with what :meth:`read_locator` needs to know noted in each locator."""
        if not self._page_list_envelopes:
            for record in self.footer.cluster_group_records:
                record.page_list_link.locator.checksum_of = "page list"
            for pages in super().page_list_envelopes:
                for column in (column for cluster in pages.pagelinklist for column in cluster):
                    for page in column.pages:
                        page.locator.checksum_of = "page" if page.has_checksum else ""
        return self._page_list_envelopes

    def read_locator(self, loc: Any, uncomp_size: int) -> tuple[Any, Any]:
        """Return the bytes at a locator, decompressed, and a cursor at their beginning.

        Raises:
            OSError: their checksum is not the one that the file has for them.
        """
        tail = CHECKSUM_BYTES if loc.checksum_of == "page" else 0
        chunk = self.file.source.chunk(loc.offset, loc.offset + loc.num_bytes + tail)
        if tail:
            self._compare(chunk.raw_data, loc.checksum_of)
        cursor = uproot.source.cursor.Cursor(loc.offset)
        if loc.num_bytes < uncomp_size:
            chunk = uproot.compression.decompress(chunk, cursor, {}, loc.num_bytes, uncomp_size, block_info=None)
            cursor.move_to(0)
        if loc.checksum_of == "page list":
            self._compare(chunk.raw_data, loc.checksum_of)
        return chunk, cursor

    def _compare(self, content: Any, what: str) -> None:
        """Compare the checksum in the last bytes of ``content`` with that of the bytes before them."""
        declared = int.from_bytes(bytes(content[-CHECKSUM_BYTES:]), "little")
        if xxhash.xxh3_64_intdigest(content[:-CHECKSUM_BYTES]) != declared:
            raise OSError(f"the checksum of a {what} is wrong in {self.file.file_path}")


def checked_classes() -> dict[str, Any]:
    """Return the classes for ``uproot.open(…, custom_classes=…)``.

    Each file needs its own: uproot takes a class out of them where a damaged file seems to bring a better description.
    """
    return {**uproot.classes, "ROOT::RNTuple": CheckedNtuple, "ROOT::Experimental::RNTuple": CheckedNtuple}
