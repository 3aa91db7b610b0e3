"""All metrics as /metrics shows them: of this process, or of all processes that share PROMETHEUS_MULTIPROC_DIR."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.settings import SHARED
from app.telemetry.aliases import Alias
from app.telemetry.counted_transition import CountedTransition
from app.telemetry.derived import TRANSITIONS, derive


class Exposition(CollectorRegistry):
    """The metrics that a scrape returns: those of a registry, the derived counters, and the aliases.

    transitions: all transitions by the values of their labels. updates: functions to call before each scrape.
    collectors: functions that return metrics which are read from the database. aliases: second names of metrics.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        transitions: Mapping[tuple[str, ...], CountedTransition],
        updates: Iterable[Callable[[], None]] = (),
        collectors: Iterable[Callable[[], Iterable[Metric]]] = (),
        aliases: Iterable[Alias] = (),
    ) -> None:
        super().__init__()
        self._registry, self._transitions = registry, transitions
        self._updates, self._collectors, self._aliases = tuple(updates), tuple(collectors), tuple(aliases)

    def collect(self) -> Iterator[Metric]:
        for update in self._updates:
            update()
        collected: dict[str, Metric] = {}
        for metric in self._metrics():
            collected[metric.name] = metric
            yield metric
        yield from (alias.metric_from(collected[alias.source]) for alias in self._aliases if alias.source in collected)

    def restricted_registry(self, names: Iterable[str]) -> "_SelectedSamples":  # type: ignore[override]  # it is only collected
        return _SelectedSamples(self, frozenset(names))

    def _metrics(self) -> Iterator[Metric]:
        for metric in self._counted():
            yield metric
            if metric.name == TRANSITIONS:
                yield from derive(metric, self._transitions)
        for collect in self._collectors:
            yield from collect()

    def _counted(self) -> Iterable[Metric]:
        folder = os.environ.get(SHARED)
        if folder is None:
            return self._registry.collect()
        _drop_gauges_of_dead_processes(Path(folder))
        merged: Iterable[Metric] = MultiProcessCollector(None, folder).collect()  # type: ignore[no-untyped-call]
        return merged


class _SelectedSamples(CollectorRegistry):
    """The samples of an exposition whose names the scrape has selected."""

    def __init__(self, exposition: Exposition, names: frozenset[str]) -> None:
        super().__init__()
        self._exposition, self._names = exposition, names

    def collect(self) -> Iterator[Metric]:
        for metric in self._exposition.collect():
            metric.samples = [sample for sample in metric.samples if sample.name in self._names]
            if metric.samples:
                yield metric


def _drop_gauges_of_dead_processes(folder: Path) -> None:
    """Delete the gauges of processes that have ended. Keep their counters, because a sum must not decrease."""
    for file in folder.glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another process has deleted the file first
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
