"""The series of one metric, each looked up once."""

from collections.abc import Callable

from prometheus_client import Counter, Histogram


class Children(dict[tuple[str, ...], Callable[..., None]]):
    """By the values of the labels, what counts or observes. `Counter.labels` alone takes longer than to count."""

    def __init__(self, metric: Counter | Histogram) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Callable[..., None]:
        child = self._metric.labels(*labels)
        self[labels] = count = child.inc if isinstance(child, Counter) else child.observe
        return count
