"""The catalogue: names and prices of the products. The barrier is not needed, because reading has no effect."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, select

from participants.barrier import Barrier, Refused
from participants.participant import Participant
from participants.payloads import LONGEST_TEXT, Amount, Body, PricedLine, lines, on_the_wire, read_body

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


class QuoteBody(Body):
    produits = lines()


class PurchaseBody(Body):
    produits = lines(PricedLine)
    montant = Amount(required=True)


@routes.get("/produits")
def list_articles() -> dict[str, Any]:
    rows = db.session.execute(select(articles).order_by(articles.c.produit_id)).mappings()
    return {"produits": [_as_json(dict(row)) for row in rows]}


@routes.get("/produits/<produit_id>")
def read_article(produit_id: str) -> dict[str, Any]:
    found = _found([produit_id])
    if not found:
        raise _unknown(produit_id)
    return _as_json(found[produit_id])


@routes.post("/produits/consulter")
def quote() -> dict[str, Any]:
    """Return the prices of the lines. Prices in the request are ignored."""
    asked = read_body(QuoteBody())["produits"]
    found = _required(asked)
    priced = [{**found[line["produit_id"]], "quantite": line["quantite"]} for line in asked]
    return {
        "produits": [_as_json(line) for line in priced],
        "montant": on_the_wire(sum(line["prix"] * line["quantite"] for line in priced)),
        "quantite_totale": sum(line["quantite"] for line in priced),
    }


@routes.post("/produits/verifier")
def verify_prices() -> dict[str, Any]:
    """Refuse a purchase with a wrong price or a wrong amount."""
    purchase = read_body(PurchaseBody())
    found = _required(purchase["produits"])
    for number, line in enumerate(purchase["produits"], start=1):
        price = found[line["produit_id"]]["prix"]
        if line["prix"] != price:
            said = f"costs {on_the_wire(price):.2f}, not {on_the_wire(line['prix']):.2f}"
            detail = f"Line {number}: Product {line['produit_id']} {said}"
            raise Refused(409, "Wrong price", detail, ligne=number, prix=on_the_wire(price))
    amount = sum(line["prix"] * line["quantite"] for line in purchase["produits"])
    if purchase["montant"] != amount:
        detail = f"The goods cost {on_the_wire(amount):.2f}, not {on_the_wire(purchase['montant']):.2f}"
        raise Refused(409, "Wrong amount", detail, montant=on_the_wire(amount))
    return {"montant": on_the_wire(amount)}


def balance() -> dict[str, Any]:
    return {}


def _required(asked: list[dict[str, Any]]) -> dict[str, Article]:
    """Return the articles of all lines. Raise Refused for the first line with an unknown product."""
    found = _found(line["produit_id"] for line in asked)
    for number, line in enumerate(asked, start=1):
        if line["produit_id"] not in found:
            raise _unknown(line["produit_id"], f"Line {number}: ", ligne=number)
    return found


def _found(product_ids: Iterable[str]) -> dict[str, Article]:
    rows = db.session.execute(select(articles).where(articles.c.produit_id.in_(set(product_ids)))).mappings()
    return {row["produit_id"]: dict(row) for row in rows}


def _unknown(product_id: str, where: str = "", **extra: Any) -> Refused:
    return Refused(404, "Unknown product", f"{where}Product {product_id} is unknown", produit_id=product_id, **extra)


def _as_json(article: Article) -> Article:
    return {**article, "prix": on_the_wire(article["prix"])}


CATALOGUE = Participant(name="catalogue", db=db, barrier=Barrier(db), routes=routes, balance=balance)
