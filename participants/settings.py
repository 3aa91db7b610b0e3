"""The settings of the participants, read from the environment of the server's worker."""

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
from participants.price_check import catalogue_at

NAMES = ("panier", "stock", "client", "ventes", "catalogue", "commandes", "recus", "supply-chain", "ecommerce")

#: The longest pause between two stock checks, in seconds: one day. Far larger values would overflow the clock.
MAX_PAUSE_S = 86_400


class SettingsError(ValueError):
    """A setting is invalid; the message names the setting and the reason."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The participants' settings."""

    data: Path = Path("var/participants")  # folder of the SQLite files and of the receipts
    names: tuple[str, ...] = NAMES  # the participants that run
    faults: bool = False  # allow clients to order faults
    database_url: str | None = None  # contains `{name}`; None: each participant has a SQLite file in `data`
    stock_url: str = "http://127.0.0.1:8010/stock"  # the stock that the supply chain fills
    catalogue_url: str | None = None  # the catalogue that checks prices; None: the catalogue of the same server
    restock_s: float = 0  # seconds between two stock checks; 0: only on request
    shop: ShopSettings = field(default_factory=ShopSettings)

    def __post_init__(self) -> None:
        if unknown := set(self.names) - set(NAMES):
            raise SettingsError(f"there is no participant {', '.join(sorted(unknown))}")
        if self.database_url:
            _check(self.database_url)
        http_url("STOCK_URL", self.stock_url)
        if self.catalogue_url is not None:
            http_url("CATALOGUE_URL", self.catalogue_url)
        if not 0 <= self.restock_s <= MAX_PAUSE_S:  # also False for nan
            raise SettingsError(f"PARTICIPANTS_RESTOCK_S must be a number of seconds from 0 to {MAX_PAUSE_S}")

    def url(self, name: str) -> str:
        if self.database_url:
            return driver_url(self.database_url.replace("{name}", name))
        return f"sqlite:///{self.data.resolve() / name}.db"

    @property
    def config(self) -> dict[str, Any]:
        """The part of the Flask configuration that all participants share."""
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
    """Return the number in plain decimal notation; return nan, which fails every range check, for other text."""
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
