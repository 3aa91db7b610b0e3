"""A web order: hold each line, charge by another saga, wrap if asked, then print the label and the invoice at once."""

from machines import (
    Saga, branch, compensatable, each, equal, is_true, list_of, boolean, choice, get, money, pivot, post, read,
    retriable, sub, text, together,
)  # fmt: skip

CHARGE = Saga(
    name="charge", version=1, initial="ASKED", completed="CAPTURED", compensated="NOT_CHARGED",
    data={"customer": text(), "amount": money()}, participants=("bank",),
    steps=(
        compensatable("authorize", post("bank", "/holds", who="customer", amount="amount"),
                      undo=post("bank", "/holds/undo"), done="AUTHORIZED", refused="DECLINED"),
        pivot("capture", post("bank", "/captures"), done="CAPTURED", refused="NOT_CAPTURED"),
    ),
)  # fmt: skip
WEB_ORDER = Saga(
    name="web_order", version=1, initial="NEW", completed="SENT", compensated="CALLED_OFF", tags=("customer",),
    data={"customer": text(), "amount": money(), "gift": boolean(default=False), "country": choice("CA", "US"),
          "lines": list_of({"sku": text(), "warehouse": text()}, high=1_000)},
    participants=("stock", "wrapping", "carrier", "customs", "books"),
    steps=(
        each("lines",
             compensatable("hold", post("stock", "/{item.warehouse}/holds", sku="item.sku", keeps={"id": text()}),
                           undo=post("stock", "/{item.warehouse}/holds/undo"), done="HELD", refused="SOLD_OUT"),
             at_most=20, done="ALL_HELD", refused="NOT_ALL_HELD"),
        compensatable("wrap", post("wrapping", "/parcels", holds="hold.*.id"), undo=post("wrapping", "/parcels/undo"),
                      when=is_true("gift"), done="WRAPPED", refused="NOT_WRAPPED"),
        sub("charge", data={"customer": "customer", "amount": "amount"}, pivot=True, done="PAID", refused="NOT_PAID"),
        together(
            branch("label",
                   read("duty", get("customs", "/duties/{country}"), when=equal("country", "US"), done="DUTY_KNOWN",
                        refused="NO_DUTY"),
                   retriable("print", post("carrier", "/labels", keeps={"url": text()}), done="PRINTED")),
            retriable("invoice", post("books", "/invoices", amount="amount", keeps={"number": text()}), done="BILLED"),
            name="papers", done="PAPERS_READY"),
        retriable("send", post("carrier", "/parcels", label="papers.label.print.url", invoice="papers.invoice.number"),
                  done="SENT"),
    ),
)  # fmt: skip
