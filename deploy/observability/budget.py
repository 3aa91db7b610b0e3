"""The error budget: more than 80 % of the sagas must succeed, so one in five may be compensated or stuck.

A budget this large cannot burn faster than five times its rate, so the usual burn factors (14.4 and 6) are impossible.
Factor 3 means that six sagas in ten fail, factor 1.5 that three in ten fail. Each rate is checked over two windows: the
long window shows that the failures matter, the short window shows that they continue and lets the alert clear soon.
"""

from dataclasses import dataclass
from typing import Any

BUDGET = 0.2
#: Minimum number of ended sagas in the window: one failed saga at night must not page an operator.
MIN_SAGAS = 10
WINDOWS = ("5m", "30m", "1h", "6h")
FAILED, ENDED = "compensated|stuck", "completed|compensated|stuck"


@dataclass(frozen=True, kw_only=True)
class Burn:
    """A burn rate that fires: `factor` times the budget over both windows, for the duration `lasts`."""

    factor: float
    long: str
    short: str
    lasts: str
    severity: str

    @property
    def expr(self) -> str:
        limit = f"{self.factor * BUDGET:g}"
        enough = f'sum by (saga) (increase(saga_total{{status=~"{ENDED}"}}[{self.long}])) >= {MIN_SAGAS}'
        return f"{_ratio(self.long)} > {limit}\nand {_ratio(self.short)} > {limit}\nand {enough}"


BURNS = (
    Burn(factor=3, long="1h", short="5m", lasts="2m", severity="critical"),
    Burn(factor=1.5, long="6h", short="30m", lasts="15m", severity="warning"),
)


def budget_rules() -> list[dict[str, Any]]:
    """Return rules that record, for each saga type, the share of ended sagas that did not succeed."""
    return [
        {
            "record": _ratio(window),
            "expr": f'sum by (saga) (rate(saga_total{{status=~"{FAILED}"}}[{window}]))\n'
            f'/ sum by (saga) (rate(saga_total{{status=~"{ENDED}"}}[{window}]))',
        }
        for window in WINDOWS
    ]


def _ratio(window: str) -> str:
    return f"saga:failed:ratio_rate{window}"
