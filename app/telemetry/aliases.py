"""The names that the reference documents have for our metrics.

Each alias is read from its source, so both always agree. A document describes one saga, so its metrics count that saga
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from prometheus_client import Metric

from machines.checkout import CHECKOUT
from machines.commande import COMMANDE


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A metric under the name and labels of a reference document.

    labels: each with the label of the source that it stands for; other labels of the source are summed over.
    only: labels of the source, with the value that each must have.
    buckets: those of a histogram, which its source has as well.
    """

    name: str
    source: str
    labels: Mapping[str, str]
    only: Mapping[str, str]
    buckets: frozenset[float] = field(default=frozenset())

    def of(self, source: Metric) -> Metric:
        """Show the source by this name."""
        sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for sample in source.samples:
            if any(sample.labels.get(label) != value for label, value in self.only.items()):
                continue
            bound = sample.labels.get("le")
            if bound is not None and float(bound) not in self.buckets:
                continue
            labels = tuple((own, sample.labels[theirs]) for own, theirs in self.labels.items())
            if bound is not None:
                labels += (("le", bound),)
            key = self.name + sample.name.removeprefix(source.name), labels
            sums[key] = sums.get(key, 0.0) + sample.value
        alias = Metric(self.name, f"{source.documentation} ({source.name})", source.type)
        for (name, labels), value in sums.items():
            alias.add_sample(name, dict(labels), value)
        return alias


_OF_000, _OF_001 = COMMANDE.name, CHECKOUT.name
_ANSWERED = {"service": "participant", "endpoint": "endpoint"}
ALIASES = (
    Alias(name="commande_etat", source="saga_states", labels={"etat": "state"}, only={"saga": _OF_001}),
    Alias(
        name="saga_duree_seconds",
        source="saga_duration_seconds",
        labels={"etat_final": "etat_final"},
        only={"type": _OF_000},
        buckets=frozenset({0.1, 0.5, 1, 2, 5, 10, 30, 60, inf}),
    ),
    Alias(
        name="saga_echecs",
        source="saga_failures",
        labels={"type_echec": "state", "etape_echec": "step"},
        only={"type": _OF_000},
    ),
    Alias(
        name="saga_etapes", source="saga_steps", labels={"etape": "step", "statut": "status"}, only={"saga": _OF_000}
    ),
    Alias(
        name="services_externes_calls",
        source="saga_participant_calls",
        labels=_ANSWERED | {"status_code": "status_code"},
        only={"saga": _OF_000},
    ),
    Alias(
        name="services_externes_duree_seconds",
        source="saga_participant_call_duration_seconds",
        labels=_ANSWERED,
        only={"saga": _OF_000},
        buckets=frozenset({0.1, 0.2, 0.5, 1, 2, 5, inf}),
    ),
    Alias(name="saga_actives_current", source="saga_current", labels={"etat": "state"}, only={"saga": _OF_000}),
)
