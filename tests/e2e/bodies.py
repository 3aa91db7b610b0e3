"""Request bodies that several tests send."""

#: The example order of the reference documents.
DOCUMENTED = {
    "client_id": "12345678-1234-1234-1234-123456789012",
    "magasin_id": "550e8400-e29b-41d4-a716-446655440000",
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}],
}

PURCHASE = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "payment_method": "credit_card",
    "amount": 59.98,
}


def return_of(purchase, quantity=1, amount=29.99, **changes):
    sale = next(step for step in purchase["steps"] if step["type"] == "CREATE_SALE")["output_data"]
    item = {"product_id": 456, "quantity": quantity, "reason": "defective"}
    return {"sale_id": sale["vente_id"], "customer_id": 123, "items": [item], "refund_amount": amount} | changes
