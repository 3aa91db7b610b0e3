"""A table with tags, and one without. Both call a participant that no test starts."""

from machines import Saga, boolean, get, integer, optional, pivot, post, read, text

PARCEL = Saga(
    name="parcel", version=1, initial="ASKED", completed="SENT", compensated="CALLED_OFF",
    data={"customer": text(), "ref": integer(), "gift": boolean(default=False), "note": optional(text())},
    tags=("customer", "ref", "gift", "note"), client="customer", order="ref", participants=("carrier",),
    steps=(pivot("send", post("carrier", "/parcels", ref="ref"), done="SENT", refused="REFUSED"),),
)  # fmt: skip
VISIT = Saga(
    name="visit", version=1, initial="ASKED", completed="SEEN", compensated="CALLED_OFF", data={"customer": text()},
    tags=("customer",), participants=("carrier",),
    steps=(read("look", get("carrier", "/visits/{customer}"), done="SEEN", refused="UNKNOWN"),),
)  # fmt: skip
