"""A saga of one step, whose participant answers later and is asked."""

from machines import ACCEPTED, REFUSED, Saga, at, compensatable, delete, get, poll, post, text

PARCEL = Saga(
    name="parcel", version=1, initial="ASKED", completed="PACKED", compensated="CALLED_OFF",
    data={"city": text(example="Oslo")},
    participants=("packer",),
    steps=(
        compensatable("pack", post("packer", "/parcels", city="city", keeps={"id": at("id", text())}), repeatable=True,
                      undo=delete("packer", "/parcels/{pack.id}"),
                      later=poll(get("packer", "/parcels/{pack.id}",
                                     means={"state": {"packing": ACCEPTED, "broken": REFUSED, "gone": REFUSED}}),
                                 every_s=1, within_s=60),
                      done="PACKED", refused="NO_PARCEL"),
    ),
)  # fmt: skip
