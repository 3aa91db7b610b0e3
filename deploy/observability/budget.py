"""The error budget: 000 wants more than 80 % of the sagas to succeed, so one in five may not.

A saga that is compensated or stuck has used a piece of it, whatever the reason. A budget this large cannot be burnt
more than five times as fast as it lasts, so the usual factors (14.4, 6) do not exist here: three times is six sagas
in ten, one and a half is three in ten. Each rate is looked at over a long window, which says that it matters, and over
a short one, which says that it still goes on and lets the alert clear soon after.
"""

from dataclasses import dataclass
from typing import Any

BUDGET = 0.2
#: Fewer are no rate: one customer without money at night wakes nobody.
FEWEST = 10
WINDOWS = ("5m", "30m", "1h", "6h")
FAILED, ENDED = "compensated|stuck", "completed|compensated|stuck"


@dataclass(frozen=True, kw_only=True)
class Burn:
    """Too fast: `factor` times the budget, over `long` and over `short` alike, for `lasts`."""

    factor: float
    long: str
    short: str
    lasts: str
    severity: str

    @property
    def expr(self) -> str:
        limit = f"{self.factor * BUDGET:g}"
        enough = f'sum by (saga) (increase(saga_total{{status=~"{ENDED}"}}[{self.long}])) >= {FEWEST}'
        return f"{_ratio(self.long)} > {limit}\nand {_ratio(self.short)} > {limit}\nand {enough}"


BURNS = (
    Burn(factor=3, long="1h", short="5m", lasts="2m", severity="critical"),
    Burn(factor=1.5, long="6h", short="30m", lasts="15m", severity="warning"),
)


def budget_rules() -> list[dict[str, Any]]:
    """Record, for each saga, the share that did not succeed of all that ended."""
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
