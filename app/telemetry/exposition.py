"""All metrics as /metrics shows them, of this process or of all that share PROMETHEUS_MULTIPROC_DIR."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.settings import SHARED
from app.telemetry.aliases import ALIASES
from app.telemetry.counted_transition import Row
from app.telemetry.derived import MOVES, derived


class Exposition(CollectorRegistry):
    """What is registered here is counted; what is collected is that, what follows from it, and its other names."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Mapping[tuple[str, ...], Row] = {}
        self._looks: tuple[Callable[[], None], ...] = ()
        self._read: tuple[Callable[[], Iterable[Metric]], ...] = ()

    def complete(
        self,
        *,
        rows: Mapping[tuple[str, ...], Row],
        looks: Iterable[Callable[[], None]] = (),
        read: Iterable[Callable[[], Iterable[Metric]]] = (),
    ) -> None:
        """rows: by the values of the labels of MOVES. looks: to be done before. read: what is read at each look."""
        self._rows, self._looks, self._read = rows, tuple(looks), tuple(read)

    def collect(self) -> Iterator[Metric]:
        for look in self._looks:
            look()
        shown: dict[str, Metric] = {}
        for metric in self._all():
            shown[metric.name] = metric
            yield metric
        yield from (alias.of(shown[alias.source]) for alias in ALIASES if alias.source in shown)

    def restricted_registry(self, names: Iterable[str]) -> "_Some":  # type: ignore[override]  # it is only collected
        return _Some(self, frozenset(names))

    def _all(self) -> Iterator[Metric]:
        for metric in self._counted():
            yield metric
            if metric.name == MOVES:
                yield from derived(metric, self._rows)
        for read in self._read:
            yield from read()

    def _counted(self) -> Iterable[Metric]:
        folder = os.environ.get(SHARED)
        if folder is None:
            return super().collect()
        _forget_the_dead(Path(folder))
        merged: Iterable[Metric] = MultiProcessCollector(None, folder).collect()  # type: ignore[no-untyped-call]
        return merged


class _Some(CollectorRegistry):
    """The samples that were asked for by name."""

    def __init__(self, whole: Exposition, names: frozenset[str]) -> None:
        super().__init__()
        self._whole, self._names = whole, names

    def collect(self) -> Iterator[Metric]:
        for metric in self._whole.collect():
            metric.samples = [sample for sample in metric.samples if sample.name in self._names]
            if metric.samples:
                yield metric


def _forget_the_dead(folder: Path) -> None:
    """Drop the gauges of processes that are no more; what they have counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another process has just done it
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
