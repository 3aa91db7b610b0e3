"""Where the participants keep their data, and which of them run. Read from the environment of the server's worker."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from participants.database import driver_url
from participants.ecommerce.settings import ShopSettings, http_url
from participants.prices import catalogue_at

NAMES = ("panier", "stock", "client", "ventes", "catalogue", "commandes", "recus", "supply-chain", "ecommerce")

#: No pause between two looks is meant to be longer than a day; a few powers of ten more no clock can add.
LONGEST_S = 86_400


class SettingsError(ValueError):
    """A setting that cannot be used; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The participants' settings.

    database_url: holds `{name}`, the participant's; without it each has a SQLite file in the folder `data`.
    stock_url: where the supply chain finds the stock.
    restock_s: seconds between two checks of the stock; 0: it checks only when asked.
    catalogue_url: where the stock asks for prices; without it, in the catalogue of the same server.
    """

    data: Path = Path("var/participants")
    names: tuple[str, ...] = NAMES
    faults: bool = False
    database_url: str | None = None
    stock_url: str = "http://127.0.0.1:8010/stock"
    catalogue_url: str | None = None
    restock_s: float = 0
    shop: ShopSettings = field(default_factory=ShopSettings)

    def __post_init__(self) -> None:
        if unknown := set(self.names) - set(NAMES):
            raise SettingsError(f"there is no participant {', '.join(sorted(unknown))}")
        if self.database_url:
            _check(self.database_url)
        http_url("STOCK_URL", self.stock_url)
        if self.catalogue_url is not None:
            http_url("CATALOGUE_URL", self.catalogue_url)
        if not 0 <= self.restock_s <= LONGEST_S:  # which is not true of nan either
            raise SettingsError(f"PARTICIPANTS_RESTOCK_S must be a number of seconds from 0 to {LONGEST_S}")

    def url(self, name: str) -> str:
        if self.database_url:
            return driver_url(self.database_url.replace("{name}", name))
        return f"sqlite:///{self.data.resolve() / name}.db"

    @property
    def config(self) -> dict[str, Any]:
        """What goes into every participant's Flask configuration."""
        catalogue = catalogue_at(self.catalogue_url.rstrip("/")) if self.catalogue_url else None
        return {
            "OUTBOX": self.data.resolve() / "outbox",
            "STOCK_URL": self.stock_url.rstrip("/"),
            "CATALOGUE": catalogue,
            "SHOP": self.shop,
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        names = environment.get("PARTICIPANTS_ONLY")
        return cls(
            data=Path(environment.get("PARTICIPANTS_DATA", cls.data)),
            names=tuple(names.split(",")) if names else NAMES,
            faults=environment.get("PARTICIPANTS_FAULTS") == "1",
            database_url=environment.get("PARTICIPANTS_DATABASE_URL") or None,
            stock_url=environment.get("STOCK_URL") or cls.stock_url,
            catalogue_url=environment.get("CATALOGUE_URL") or None,
            restock_s=decimal(environment.get("PARTICIPANTS_RESTOCK_S") or "0"),
            shop=ShopSettings.from_environment(environment),
        )

    def as_environment(self) -> dict[str, str]:
        return {
            "PARTICIPANTS_DATA": str(self.data),
            "PARTICIPANTS_ONLY": ",".join(self.names),
            "PARTICIPANTS_FAULTS": "1" if self.faults else "0",
            "PARTICIPANTS_DATABASE_URL": self.database_url or "",
            "STOCK_URL": self.stock_url,
            "CATALOGUE_URL": self.catalogue_url or "",
            "PARTICIPANTS_RESTOCK_S": format(Decimal(repr(self.restock_s)), "f"),
            "PARTICIPANTS_URL": self.shop.participants_url,
        }


def decimal(text: str) -> float:
    """Return the number that a text holds in plain decimal notation; nan, which no bound allows, for anything else."""
    return float(text) if re.fullmatch(r"[0-9]*\.?[0-9]+", text) else float("nan")


def _check(url: str) -> None:
    try:
        dialect = make_url(driver_url(url)).drivername
    except (ValueError, ArgumentError):
        raise SettingsError("PARTICIPANTS_DATABASE_URL is not the URL of a database") from None
    if dialect not in {"postgresql+psycopg2", "sqlite"}:
        raise SettingsError("PARTICIPANTS_DATABASE_URL must begin with postgresql:// or sqlite://")
    if "{name}" not in url:
        raise SettingsError("PARTICIPANTS_DATABASE_URL must contain {name}: each participant has its own database")
