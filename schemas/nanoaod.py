"""NanoAOD as mucoffea reads it."""

from __future__ import annotations

from coffea.nanoevents import NanoAODSchema


class NanoAOD(NanoAODSchema):
    """coffea's NanoAOD schema, tuned for files of which only some branches are looked at.

    The switches are class attributes here, since one that is set on coffea's class in the main process is not
    seen by workers.
    """

    #: A cross reference (``Muon_jetIdx``) into a collection that nobody reads is no reason for a warning.
    warn_missing_crossrefs = False
