"""Aliases: some metrics under a second name, the name that a reference system of this service uses.

The values of an alias are computed from the metric that it repeats, so both always agree. A reference system describes
one saga, so its aliases count only that saga (ADR 32).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from prometheus_client import Metric

from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.saga import Saga


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A metric under the name and the labels of a reference system."""

    name: str
    #: Name of the service's own metric.
    source: str
    #: Label of the alias → label of the source. The values are summed over all other labels of the source.
    labels: Mapping[str, str]
    #: Label of the source → value. Only samples with these values are counted.
    only: Mapping[str, str]
    #: For a histogram: upper bounds of its buckets, in seconds. The source must have these bounds, too.
    buckets: frozenset[float] = field(default=frozenset())

    @property
    def saga(self) -> Saga:
        """The saga that this alias counts."""
        return CHECKOUT if CHECKOUT.name in self.only.values() else COMMANDE

    def metric_from(self, source: Metric) -> Metric:
        """Return the alias, computed from the samples of its source."""
        sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for sample in source.samples:
            if any(sample.labels.get(label) != value for label, value in self.only.items()):
                continue
            bound = sample.labels.get("le")
            if bound is not None and float(bound) not in self.buckets:
                continue
            labels = tuple((label, sample.labels[of_source]) for label, of_source in self.labels.items())
            if bound is not None:
                labels += (("le", bound),)
            key = self.name + sample.name.removeprefix(source.name), labels
            sums[key] = sums.get(key, 0.0) + sample.value
        alias = Metric(self.name, f"{source.documentation} ({source.name})", source.type)
        for (name, labels), value in sums.items():
            alias.add_sample(name, dict(labels), value)
        return alias


_COMMANDE, _CHECKOUT = COMMANDE.name, CHECKOUT.name
_CALL_LABELS = {"service": "participant", "endpoint": "endpoint"}
ALIASES = (
    Alias(name="commande_etat", source="saga_states", labels={"etat": "state"}, only={"saga": _CHECKOUT}),
    Alias(
        name="saga_duree_seconds",
        source="saga_duration_seconds",
        labels={"etat_final": "etat_final"},
        only={"type": _COMMANDE},
        buckets=frozenset({0.1, 0.5, 1, 2, 5, 10, 30, 60, inf}),
    ),
    Alias(
        name="saga_echecs",
        source="saga_failures",
        labels={"type_echec": "state", "etape_echec": "step"},
        only={"type": _COMMANDE},
    ),
    Alias(
        name="saga_etapes", source="saga_steps", labels={"etape": "step", "statut": "status"}, only={"saga": _COMMANDE}
    ),
    Alias(
        name="services_externes_calls",
        source="saga_participant_calls",
        labels=_CALL_LABELS | {"status_code": "status_code"},
        only={"saga": _COMMANDE},
    ),
    Alias(
        name="services_externes_duree_seconds",
        source="saga_participant_call_duration_seconds",
        labels=_CALL_LABELS,
        only={"saga": _COMMANDE},
        buckets=frozenset({0.1, 0.2, 0.5, 1, 2, 5, inf}),
    ),
    Alias(name="saga_actives_current", source="saga_current", labels={"etat": "state"}, only={"saga": _COMMANDE}),
)
