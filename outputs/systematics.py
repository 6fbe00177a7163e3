"""What the systematic uncertainties do to a result: the shift of each histogram, region and process, and their total.

A variation is compared with the nominal yield after normalisation, so a change of rate that the weights of a generator
make is not one of the yield. Members of a set become up and down bin by bin, on the sum of the samples that share the
nuisance parameter (see :mod:`.combination`). Nuisance parameters of one source (one an era, one a process) add in
quadrature, and so do sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError, closest
from .bundle import NOMINAL, Bundle, is_normalised, scale_of
from .combination import Floats, Shift, combined
from .report import DatasetReport, Report, SourceReport

#: Of the sources that the luminosity of the report is made of; their names are those of the nuisance parameters.
LUMINOSITY_LABEL = "luminosity"


class Yields(NamedTuple):
    """The normalised yields of one histogram in one region.

    Args:
        datasets: simulated and normalised.
        nominal: ``[datasets, bins + flow]``, with the flow bins that the axis has.
        variances: the same.
        varied: variation of the histogram → ``[datasets, bins + flow]``; nominal where a dataset has not filled it.
        edges: ``[bins + 1]``.
        inside: the bins that are no flow bins.
    """

    datasets: tuple[DatasetReport, ...]
    nominal: Floats
    variances: Floats
    varied: Mapping[str, Floats]
    edges: Floats
    inside: slice

    def of(self, process: str | None) -> NDArray[np.bool_]:
        """Return ``[datasets]`` which belong to ``process`` (its label); all for None."""
        return np.array([process is None or one.label == process for one in self.datasets], dtype=bool)


def sources(report: Report) -> tuple[SourceReport, ...]:
    """Return the sources of a result: those that were varied, and the parts of the uncertainty of the luminosity."""
    parts = {name: None for era in report.luminosities for name in _luminosity(era)}
    rates = [
        SourceReport(name=name, label=f"{LUMINOSITY_LABEL} ({name})", kind="rate", variations=(), cms_name=name)
        for name in parts
    ]
    return (*report.sources, *rates)


def chosen(report: Report, names: Sequence[str]) -> tuple[SourceReport, ...]:
    """Return the sources called ``names``, all without any.

    Raises:
        UserError: the result has no such source.
    """
    known = {one.name: one for one in sources(report)}
    for name in names:
        if name not in known:
            raise UserError(
                f"The result has no systematic '{name}'.{closest(name, known)} It has: {', '.join(known) or 'none'}. "
                f"Run the analysis with --systematics to have more."
            )
    return tuple(known[name] for name in names) if names else tuple(known.values())


def yields(bundle: Bundle, name: str, region: str) -> Yields:
    """Return the normalised yields of the histogram ``name`` in ``region``.

    Raises:
        UserError: no simulation is normalised, or a bin is not finite.
    """
    if not is_normalised(bundle):
        raise UserError("No simulation of this result is normalised, so shifts of its yields are not known.")
    histogram = bundle.histograms[name]
    datasets = tuple(
        one
        for one in bundle.report.datasets
        if one.kind == "mc" and one.scale is not None and one.name in histogram.axes["dataset"]
    )
    rows = [histogram.axes["dataset"].index(one.name) for one in datasets]
    variations = list(histogram.axes["variation"])
    content = histogram.view(flow=True)
    values, variances = (content["value"], content["variance"]) if content.dtype.names else (content, content)
    filled = values[rows].any(axis=(1, 3)) | variances[rows].any(axis=(1, 3))
    place = histogram.axes["region"].index(region)
    nominal = _scaled(values[rows, place, variations.index(NOMINAL)], datasets, NOMINAL)
    varied: dict[str, Floats] = {}
    for column, variation in enumerate(variations):
        kept = filled[:, column] & [variation not in one.not_normalised_variations for one in datasets]
        scaled = _scaled(values[rows, place, column], datasets, variation)
        varied[variation] = np.where(kept[:, None], scaled, nominal)
        if not np.isfinite(varied[variation]).all():
            raise UserError(
                f"The histogram '{name}' has bins that are not finite in the region '{region}' under '{variation}': a "
                f"weight was infinite or not a number. Leave that systematic out, and look at the weights."
            )
    return Yields(
        datasets=datasets,
        nominal=nominal,
        variances=_scaled(variances[rows, place, variations.index(NOMINAL)], datasets, NOMINAL, 2),
        varied=varied,
        edges=np.asarray(histogram.axes[-1].edges, np.float64),
        inside=_inside(histogram.axes[-1]),
    )


def shift(found: Yields, source: SourceReport, report: Report, process: str | None = None) -> Shift:
    """Return what ``source`` does to the yield of ``process`` (a label), or of all simulation."""
    rows = np.flatnonzero(found.of(process))
    if source.kind == "rate":
        per_cent = {era.era: _luminosity(era).get(source.name, 0.0) for era in report.luminosities}
        parts = np.array([per_cent.get(found.datasets[row].era or "", 0.0) for row in rows]) / 100
        change = (found.nominal[rows] * parts[:, None]).sum(axis=0)
        return Shift(change, -change)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        one = found.datasets[row]
        era = (one.era or "") if source.eras == "by_era" else ""
        groups[era, one.process if source.processes == "by_process" else ""].append(int(row))
    members = [found.varied.get(variation, found.nominal) - found.nominal for variation in source.variations]
    moved = [
        combined(np.array([member[group].sum(axis=0) for member in members]), source.combination)
        for group in groups.values()
    ]
    if not moved:
        nothing = np.zeros(found.nominal.shape[1])
        return Shift(nothing, nothing)
    return Shift(_together([one.up for one in moved]), _together([one.down for one in moved]))


def total_band(
    bundle: Bundle, name: str, region: str, *, process: str | None = None, statistical: bool = False
) -> tuple[Floats, Floats]:
    """Return how far the simulation may be above and below its nominal yield, ``[bins]``, both positive.

    All sources in quadrature: in each bin, of each source the larger of its shifts in a direction. With
    ``statistical`` the uncertainty of the simulated events is added.

    Raises:
        UserError: no simulation is normalised.
    """
    found = yields(bundle, name, region)
    above = np.zeros(found.nominal.shape[1])
    below = np.zeros_like(above)
    if statistical:
        above += found.variances[found.of(process)].sum(axis=0)
        below += found.variances[found.of(process)].sum(axis=0)
    for source in sources(bundle.report):
        one = shift(found, source, bundle.report, process)
        above += np.maximum(np.maximum(one.up, one.down), 0.0) ** 2
        below += np.minimum(np.minimum(one.up, one.down), 0.0) ** 2
    return np.sqrt(above)[found.inside], np.sqrt(below)[found.inside]


def regions_of(bundle: Bundle, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each of the histograms ``names`` with each of its regions that simulation has filled."""
    for name in names:
        histogram = bundle.histograms[name]
        for region in histogram.axes["region"]:
            here: dict[str, Any] = {"region": region, "variation": NOMINAL}
            if NOMINAL in histogram.axes["variation"] and np.any(histogram[here].values(flow=True)):
                yield name, region


def _inside(axis: Any) -> slice:
    """Return the bins of an axis without its flow bins; axes of categories have none below."""
    return slice(int(axis.traits.underflow), int(axis.traits.underflow) + len(axis))


def _scaled(content: Any, datasets: Sequence[DatasetReport], variation: str, power: int = 1) -> Floats:
    """Return ``[datasets, bins]`` the yields of raw sums of weights, or with power 2 their variances."""
    scales = [(scale_of(one, variation) or 0.0) ** power for one in datasets]
    return np.asarray(content * np.array(scales).reshape(-1, 1), np.float64)


def _luminosity(era: Any) -> Mapping[str, float]:
    """Return nuisance parameter → per cent of the luminosity of an era; one of its own without a split."""
    if era.uncertainties:
        return {name: value for name, value in era.uncertainties.items() if value}
    return {f"lumi_{era.era}": era.uncertainty} if era.uncertainty else {}


def _together(shifts: Sequence[Floats]) -> Floats:
    """Return independent shifts in quadrature, with the sign of their sum."""
    if len(shifts) == 1:
        return shifts[0]
    stacked = np.array(shifts)
    return np.asarray(np.where(stacked.sum(axis=0) < 0, -1.0, 1.0) * np.sqrt((stacked**2).sum(axis=0)))
