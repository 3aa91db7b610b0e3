"""The first rows of each participant. They decide which orders succeed and which fail.

Client 1 wants more units of a rare product than the stock has. Client 2 has too little money. Client 3 is blocked.
Client 6600 has no address for a receipt. Shop 99 is closed. Every other client succeeds, with the ordinary cart and a
new account. Amounts are in cents.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table

from participants.accounts import account_settings, accounts
from participants.carts import carts
from participants.catalogue import articles
from participants.orders import closed_shops
from participants.receipts import clients_without_address
from participants.sales import blocked_buyers
from participants.stock_units import products
from participants.supply_chain import thresholds

KEYBOARD, CABLE, RARE = "550e8400-e29b-41d4-a716-446655440001", "456", "789"
HEADPHONES, MOUSE, MONITOR = "101", "102", "103"

ORDINARY_CART = [
    {"produit_id": KEYBOARD, "quantite": 1, "prix": 29_99},
    {"produit_id": CABLE, "quantite": 2, "prix": 14_99},
]
CART_TOO_LARGE = [{"produit_id": RARE, "quantite": 5, "prix": 12_50}]

CLOSED_SHOPS = ("99", "550e8400-e29b-41d4-a716-446655440099")

SEED: Mapping[Table, Sequence[Mapping[str, Any]]] = {
    carts: (
        {"id": 1, "client_id": None, "produits": ORDINARY_CART},
        {"id": 2, "client_id": 1, "produits": CART_TOO_LARGE},
    ),
    products: (
        {"produit_id": KEYBOARD, "initial": 500, "en_main": 500},
        {"produit_id": CABLE, "initial": 1_000_000, "en_main": 1_000_000},
        {"produit_id": RARE, "initial": 3, "en_main": 3},
        {"produit_id": HEADPHONES, "initial": 10_000, "en_main": 10_000},
        {"produit_id": MOUSE, "initial": 10_000, "en_main": 10_000},
        {"produit_id": MONITOR, "initial": 50, "en_main": 50},
    ),
    thresholds: ({"produit_id": KEYBOARD, "seuil": 100, "cible": 500},),
    articles: (
        {"produit_id": KEYBOARD, "nom": "Keyboard", "prix": 29_99},
        # The cable costs more here than in the carts, because a cart keeps the price at the time when it was filled.
        {"produit_id": CABLE, "nom": "Cable", "prix": 29_99},
        {"produit_id": RARE, "nom": "Rare edition", "prix": 12_50},
        {"produit_id": HEADPHONES, "nom": "Headphones", "prix": 49_90},
        {"produit_id": MOUSE, "nom": "Mouse", "prix": 24_50},
        {"produit_id": MONITOR, "nom": "Monitor", "prix": 189_00},
    ),
    account_settings: ({"nom": "solde_ouverture", "valeur": 1_000_000_00},),
    accounts: ({"client_id": 2, "solde": 10_00},),
    blocked_buyers: ({"client_id": 3, "motif": "unpaid invoices"},),
    closed_shops: tuple({"magasin_id": shop_id, "motif": "closed for good"} for shop_id in CLOSED_SHOPS),
    clients_without_address: ({"client_id": "6600"},),
}
