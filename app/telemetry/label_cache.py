"""A cache of the series of one metric."""

from collections.abc import Callable

from prometheus_client import Counter, Histogram


class LabelCache(dict[tuple[str, ...], Callable[..., None]]):
    """Values of the labels → `inc` or `observe` of the series. `Counter.labels` takes longer than `inc` itself."""

    def __init__(self, metric: Counter | Histogram) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Callable[..., None]:
        child = self._metric.labels(*labels)
        self[labels] = count = child.inc if isinstance(child, Counter) else child.observe
        return count
