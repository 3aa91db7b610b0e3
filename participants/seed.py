"""The first rows of each participant. What becomes of a client's order follows from these rows, and from no code.

Client 1 wants more of a rare product than there is, client 2 has too little money, client 3 may not buy, client 6600
has no address for a receipt, and shop 99 takes no orders. Anybody else succeeds: he gets the ordinary cart and a new
account. Amounts are in cents.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table

from participants.catalogue import articles
from participants.client import comptes, reglages
from participants.commandes import magasins_fermes
from participants.panier import paniers
from participants.recus import clients_sans_adresse
from participants.supply_chain import seuils
from participants.units import produits
from participants.ventes import acheteurs_bloques

KEYBOARD, CABLE, RARE = "550e8400-e29b-41d4-a716-446655440001", "456", "789"
HEADPHONES, MOUSE, MONITOR = "101", "102", "103"

ORDINARY_CART = [
    {"produit_id": KEYBOARD, "quantite": 1, "prix": 29_99},
    {"produit_id": CABLE, "quantite": 2, "prix": 14_99},
]
CART_TOO_LARGE = [{"produit_id": RARE, "quantite": 5, "prix": 12_50}]

CLOSED_SHOPS = ("99", "550e8400-e29b-41d4-a716-446655440099")

SEED: Mapping[Table, Sequence[Mapping[str, Any]]] = {
    paniers: (
        {"id": 1, "client_id": None, "produits": ORDINARY_CART},
        {"id": 2, "client_id": 1, "produits": CART_TOO_LARGE},
    ),
    produits: (
        {"produit_id": KEYBOARD, "initial": 500, "en_main": 500},
        {"produit_id": CABLE, "initial": 1_000_000, "en_main": 1_000_000},
        {"produit_id": RARE, "initial": 3, "en_main": 3},
        {"produit_id": HEADPHONES, "initial": 10_000, "en_main": 10_000},
        {"produit_id": MOUSE, "initial": 10_000, "en_main": 10_000},
        {"produit_id": MONITOR, "initial": 50, "en_main": 50},
    ),
    seuils: ({"produit_id": KEYBOARD, "seuil": 100, "cible": 500},),
    articles: (
        {"produit_id": KEYBOARD, "nom": "Clavier", "prix": 29_99},
        # Dearer than in the carts, which keep the price of the day it was put there.
        {"produit_id": CABLE, "nom": "Câble", "prix": 29_99},
        {"produit_id": RARE, "nom": "Édition rare", "prix": 12_50},
        {"produit_id": HEADPHONES, "nom": "Casque", "prix": 49_90},
        {"produit_id": MOUSE, "nom": "Souris", "prix": 24_50},
        {"produit_id": MONITOR, "nom": "Écran", "prix": 189_00},
    ),
    reglages: ({"nom": "solde_ouverture", "valeur": 1_000_000_00},),
    comptes: ({"client_id": 2, "solde": 10_00},),
    acheteurs_bloques: ({"client_id": 3, "motif": "unpaid invoices"},),
    magasins_fermes: tuple({"magasin_id": magasin_id, "motif": "closed for good"} for magasin_id in CLOSED_SHOPS),
    clients_sans_adresse: ({"client_id": "6600"},),
}
