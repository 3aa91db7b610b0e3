def test_catalogue_returns_all_products_and_one(catalogue):
    listed = catalogue.get("/produits").json["produits"]
    assert [each["produit_id"] for each in listed] == [
        "101", "102", "103", "456", "550e8400-e29b-41d4-a716-446655440001", "789",
    ]  # fmt: skip
    assert catalogue.get("/produits/456").json == listed[3] == {"produit_id": "456", "nom": "Cable", "prix": 29.99}


def test_lines_have_the_catalogues_price_and_not_the_requests(catalogue):
    lines = [{"produit_id": 456, "quantite": 2, "prix": 0.01}, {"product_id": "789", "quantity": 1}]
    assert catalogue.ask("/produits/consulter", {"produits": lines}).json == {
        "produits": [
            {"produit_id": "456", "nom": "Cable", "prix": 29.99, "quantite": 2},
            {"produit_id": "789", "nom": "Rare edition", "prix": 12.5, "quantite": 1},
        ],
        "montant": 72.48,
        "quantite_totale": 3,
    }


def test_an_unknown_product_is_refused_with_its_name_and_line(catalogue):
    lines = [{"produit_id": each, "quantite": 1} for each in ("456", "nothing")]
    reply = catalogue.ask("/produits/consulter", {"produits": lines})
    assert (reply.status_code, reply.json["detail"]) == (404, "Line 2: Product nothing is unknown")
    assert catalogue.get("/produits/nothing").json["produit_id"] == "nothing"


def test_reading_leaves_no_trace(catalogue):
    catalogue.ask("/produits/consulter", {"produits": [{"produit_id": 456, "quantite": 1}]})
    assert (catalogue.states(), catalogue.books()) == ([], {})


def test_empty_request_is_refused(catalogue):
    assert catalogue.ask("/produits/consulter", {}).status_code == 400
