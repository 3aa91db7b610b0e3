"""A fulfilment: every line is held at the same time, then the label and the invoice, then the parcel is sent."""

from machines import Saga, branch, compensatable, each, list_of, post, text, together

FULFILMENT = Saga(
    name="fulfilment",
    version=1,
    initial="NEW",
    completed="SENT",
    compensated="CALLED_OFF",
    participants=("shop",),
    data={"lines": list_of({"sku": text()})},
    steps=(
        each(
            "lines",
            compensatable(
                "hold",
                post("shop", "/hold", sku="item.sku", keeps={"id": text()}),
                undo=post("shop", "/free"),
                done="HELD",
                refused="SHORT",
            ),
            at_most=2,
            done="ALL_HELD",
            refused="NOT_ALL_HELD",
        ),
        together(
            compensatable(
                "label", post("shop", "/label"), undo=post("shop", "/void"), done="LABELLED", refused="NO_LABEL"
            ),
            branch(
                "bill",
                compensatable(
                    "invoice", post("shop", "/invoice"), undo=post("shop", "/cancel"), done="BILLED", refused="NO_BILL"
                ),
                compensatable(
                    "archive", post("shop", "/archive"), undo=post("shop", "/drop"), done="ARCHIVED", refused="NO_FILE"
                ),
            ),
            name="papers",
            done="PAPERS_DONE",
            refused="NO_PAPERS",
        ),
        compensatable(
            "send",
            post("shop", "/send", ids="hold.*.id"),
            undo=post("shop", "/recall"),
            done="SENT",
            refused="NOT_SENT",
        ),
    ),
)
