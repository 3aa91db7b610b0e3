"""The catalogue: what products are called and cost. Reading changes nothing, so the barrier has nothing to guard."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, select

from participants.barrier import Barrier, Refused
from participants.participant import Participant
from participants.wire import LONGEST_TEXT, Amount, Body, PricedLine, lines, on_the_wire, read_body

db = SQLAlchemy()
routes = Blueprint("catalogue", __name__)

#: `prix` is in cents.
articles = Table(
    "articles",
    db.metadata,
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("nom", String(LONGEST_TEXT), nullable=False),
    Column("prix", BigInteger, nullable=False),
)

Article = dict[str, Any]


class Consultation(Body):
    produits = lines()


class Achat(Body):
    produits = lines(PricedLine)
    montant = Amount(required=True)


@routes.get("/produits")
def lister() -> dict[str, Any]:
    rows = db.session.execute(select(articles).order_by(articles.c.produit_id)).mappings()
    return {"produits": [_as_json(dict(row)) for row in rows]}


@routes.get("/produits/<produit_id>")
def lire(produit_id: str) -> dict[str, Any]:
    found = _found([produit_id])
    if not found:
        raise _unknown(produit_id)
    return _as_json(found[produit_id])


@routes.post("/produits/consulter")
def consulter() -> dict[str, Any]:
    """Return the prices. The catalogue decides what the lines cost, not the sender."""
    asked = read_body(Consultation())["produits"]
    found = _required(asked)
    priced = [{**found[line["produit_id"]], "quantite": line["quantite"]} for line in asked]
    return {
        "produits": [_as_json(line) for line in priced],
        "montant": on_the_wire(sum(line["prix"] * line["quantite"] for line in priced)),
        "quantite_totale": sum(line["quantite"] for line in priced),
    }


@routes.post("/produits/verifier")
def verifier() -> dict[str, Any]:
    """Refuse a purchase whose prices or whose amount are not what its lines cost here."""
    achat = read_body(Achat())
    found = _required(achat["produits"])
    for number, line in enumerate(achat["produits"], start=1):
        prix = found[line["produit_id"]]["prix"]
        if line["prix"] != prix:
            said = f"costs {on_the_wire(prix):.2f}, not {on_the_wire(line['prix']):.2f}"
            detail = f"Line {number}: Product {line['produit_id']} {said}"
            raise Refused(409, "Wrong price", detail, ligne=number, prix=on_the_wire(prix))
    montant = sum(line["prix"] * line["quantite"] for line in achat["produits"])
    if achat["montant"] != montant:
        detail = f"The goods cost {on_the_wire(montant):.2f}, not {on_the_wire(achat['montant']):.2f}"
        raise Refused(409, "Wrong amount", detail, montant=on_the_wire(montant))
    return {"montant": on_the_wire(montant)}


def balance() -> dict[str, Any]:
    return {}


def _required(asked: list[dict[str, Any]]) -> dict[str, Article]:
    """Return the articles of all lines; refused with the first line that names none."""
    found = _found(line["produit_id"] for line in asked)
    for number, line in enumerate(asked, start=1):
        if line["produit_id"] not in found:
            raise _unknown(line["produit_id"], f"Line {number}: ", ligne=number)
    return found


def _found(produit_ids: Iterable[str]) -> dict[str, Article]:
    rows = db.session.execute(select(articles).where(articles.c.produit_id.in_(set(produit_ids)))).mappings()
    return {row["produit_id"]: dict(row) for row in rows}


def _unknown(produit_id: str, where: str = "", **extra: Any) -> Refused:
    return Refused(404, "Unknown product", f"{where}Product {produit_id} is unknown", produit_id=produit_id, **extra)


def _as_json(article: Article) -> Article:
    return {**article, "prix": on_the_wire(article["prix"])}


CATALOGUE = Participant(name="catalogue", db=db, barrier=Barrier(db), routes=routes, balance=balance)
