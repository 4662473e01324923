# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The sentences of a load verdict, each with its figures. Pure; nothing raises."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import Iterable, Mapping, Sequence

from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_pods import DELETED, ENDED, Counted, moment
from ansible_collections.aiops.k8s.plugins.module_utils.capacity.load_series import Moment, Run, Series, reaches, runs
from ansible_collections.aiops.k8s.plugins.module_utils.operation.clock import span

NAMES = {"cpu": "CPU", "memory": "Memory", "custom": "The custom figure"}
_FEW = 3  # names in a sentence
_BURST = 0.5  # what fills less of the window than this is called a burst


@dataclasses.dataclass(frozen=True)
class Words:
    """``threshold``: fraction of the request; ``window`` in seconds; ``target`` and ``unit`` of a custom figure."""

    resource: str
    threshold: float
    window: float
    target: float | None = None
    unit: str = ""

    @property
    def _level(self) -> str:
        return f"{percent(self.threshold)} of the {'target' if self.resource == 'custom' else 'request'}"

    @property
    def _wanted(self) -> str:
        return f"the last {span(self.window)}"

    def amount(self, value: float) -> str:
        if self.resource == "custom":
            return f"{value:.4g}{f' {self.unit}' if self.unit else ''}"
        return f"{value * 1000:.0f}m" if self.resource == "cpu" else f"{value / 2**20:.0f}Mi"

    def share(self, fraction: float) -> str:
        """A utilisation; near the threshold with the digit that tells on which side it lies."""
        close = round(fraction * 100) == round(self.threshold * 100) and abs(fraction - self.threshold) > 1e-9
        return f"{math.floor(fraction * 1000) / 10:.1f} %" if close else percent(fraction)

    # --- verdicts ---

    def sustained(self, series: Series, counted: int, live: int) -> str:
        values = [one.utilisation for one in series.moments]
        dips = [run for run in self._runs(series) if not run.above]
        how = "all of" if not dips else f"{percent(1 - len([one for one in values if not reaches(one, self.threshold)]) / len(values))} of"
        dip = f", the longest dip {span(max(run.seconds for run in dips))}" if dips else ""
        who = "" if self.resource == "custom" else f"; {counted} of {count(live, 'pod')} counted"
        return (
            f"{NAMES[self.resource]} was at or above {self._level} for {how} {self._wanted}{dip}: {self._mean(series)}, peak"
            f" {self.share(max(values))}, low {self.share(min(values))}{who}."
        )

    def below(self, series: Series) -> str:
        """Why the load is not sustained: what the series looks like."""
        every, name = self._runs(series), NAMES[self.resource]
        above = [run for run in every if run.above]
        peak = max(series.moments, key=lambda one: one.utilisation)
        now = self.share(series.moments[-1].utilisation)
        if not above:
            return f"{name} stayed below {self._level} for {self._wanted}: {self._mean(series)}, peak {self.share(peak.utilisation)}."
        part = sum(1 for one in series.moments if reaches(one.utilisation, self.threshold)) / len(series.moments)
        high = f"{span(part * self.window)} of {self._wanted}"
        mean = self._mean(series)
        if len(above) == 1 and above[0] is every[-1]:
            return f"{name} is at or above {self._level} only since {span(above[0].seconds)} (now {now}), not for {self._wanted}: {mean}."
        if len(above) == 1 and above[0] is every[0]:
            return f"{name} is back below {self._level} since {span(every[-1].seconds)} (now {now}), after {high}: {mean}."
        if part < _BURST and not reaches(statistics.fmean(one.utilisation for one in series.moments), self.threshold):
            what = "a burst" if len(above) == 1 else f"{len(above)} bursts"
            top = f"the peak {self.share(peak.utilisation)} at {moment(peak.at)}"
            return f"{name} was at or above {self._level} for only {high}: {what}, {top}; {mean}."
        dips = [run for run in every if not run.above]
        longest = span(max(run.seconds for run in dips))
        return (
            f"{name} was at or above {self._level} for {high}, but fell below it {times(len(dips))}, for {longest} at the longest: {mean}."
        )

    def without_request(self, missing: Sequence[tuple[str, str]]) -> str:
        containers = sorted({container for _pod, container in missing})
        which = f"Container {containers[0]}" if len(containers) == 1 else f"Containers {names(containers)}"
        pods = len({pod for pod, _container in missing})
        return (
            f"{which} {plural(containers, 'has', 'have')} no {self.resource} request ({count(pods, 'pod')}, first {missing[0][0]}):"
            " without one there is no utilisation, and an autoscaler on it would not work."
        )

    def no_samples(self, counted: Sequence[Counted]) -> str:
        if self.resource == "custom":
            return f"The custom figure has no value within {self._wanted}."
        return f"There are no samples of {names([one.name for one in counted])} within {self._wanted}."

    def too_coarse(self, series: Series) -> str:
        return (
            f"Samples every {span(series.step)} are too few to judge a window of {span(self.window)}: give a longer window, or sample more"
            " often."
        )

    def gaps(self, series: Series, gaps: Sequence[tuple[float, float]], counted: Sequence[Counted]) -> str:
        mean = self._mean(series)
        known = f"only {percent(series.known())} of {self._wanted} is known ({mean})"
        young = min((one.since for one in counted), default=0.0)
        if not gaps:
            return f"Too many samples are missing: {known}."
        first, last = gaps[0]
        if len(gaps) == 1 and first <= series.grid[0] and young > series.grid[0]:
            return f"The pods that count are too young: {known}, since {moment(max(young, first))}."
        several = f", the longest of {len(gaps)} gaps" if len(gaps) > 1 else ""
        first, last = max(gaps, key=lambda gap: gap[1] - gap[0])
        return f"There are no samples for {span(last - first)}, from {moment(first)} to {moment(last)}{several}: {known}."

    def missing(self, series: Series, counted: int) -> str:
        low = statistics.fmean(one.at_least for one in series.moments)
        absent = sorted(series.missing, key=lambda name: -series.missing[name])
        return (
            f"{len(absent)} of {count(counted, 'pod')} ({names(absent)}) {plural(absent, 'has', 'have')} no samples for all or part"
            f" of {self._wanted}: {self._mean(series)} of those that have, and {self.share(low)} if the others are idle."
        )

    # --- parts ---

    def _mean(self, series: Series) -> str:
        moments = series.moments
        usage, request = statistics.fmean(one.usage for one in moments), statistics.fmean(one.request for one in moments)
        return f"mean {self.share(statistics.fmean(one.utilisation for one in moments))} ({self.amount(usage)} of {self.amount(request)})"

    def _runs(self, series: Series) -> list[Run]:
        return runs(series.moments, series.step, self.threshold, _utilisation)


def _utilisation(one: Moment) -> float:
    return one.utilisation


def percent(fraction: float) -> str:
    """93 %; small ones with a digit more."""
    value = fraction * 100
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def plural(many: Sequence[object] | int, one: str, more: str) -> str:
    """The word that fits so many."""
    return one if (many if isinstance(many, int) else len(many)) == 1 else more


def grammar(many: Sequence[str]) -> dict[str, str]:
    """What a sentence about these pods needs."""
    single, several = {"has": "has", "is_": "is", "was": "was", "counts": "counts"}, {
        "has": "have",
        "is_": "are",
        "was": "were",
        "counts": "count",
    }
    return {"names": names(many), **(single if len(many) == 1 else several)}


def names(many: Sequence[str]) -> str:
    """The first few names, and how many more."""
    shown = ", ".join(many[:_FEW])
    return f"{shown} and {len(many) - _FEW} more" if len(many) > _FEW else shown


def left_out(pods: Iterable[Mapping[str, str]]) -> str:
    """Pods with the reasons why they do not count, the first few, before them those that run."""
    every = [f"{one['name']}: {one['why']}" for one in sorted(pods, key=lambda one: one["why"] in (ENDED, DELETED))]
    return "; ".join(every[:_FEW]) + (f"; and {len(every) - _FEW} more" if len(every) > _FEW else "")
