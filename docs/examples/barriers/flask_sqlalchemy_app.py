"""An airline behind the barrier, with Flask-SQLAlchemy, on PORT. DATABASE_URL names a PostgreSQL database."""

import os
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from participants.barrier import Barrier, Done, Problem, Refused, answer_with_problems, json_object  # or your copy
from sqlalchemy import BigInteger, Column, Table, Text, delete, insert, select

app = Flask("airline")
app.config.update(
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"),
    SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 16},
    MAX_CONTENT_LENGTH=1 << 20,
)
db = SQLAlchemy(app)
barrier = Barrier(db)
bookings = Table(
    "booking", db.metadata, Column("id", BigInteger, primary_key=True), Column("city", Text, nullable=False)
)
answer_with_problems(app)


@app.post("/bookings")
@barrier.do
def book() -> tuple[dict[str, Any], int]:
    city = json_object().get("city")
    if not isinstance(city, str) or not city or "\0" in city:
        raise Problem(400, "Invalid body", "city is required")
    if city == "Atlantis":
        raise Refused(409, "No seat", f"there is no seat to {city}")
    added = db.session.execute(insert(bookings).values(city=city).returning(bookings.c.id))
    return {"id": str(added.scalar_one()), "city": city}, 201


@app.post("/bookings/undo")
@barrier.undo
def cancel(done: Done) -> dict[str, Any]:
    db.session.execute(delete(bookings).where(bookings.c.id == int(done.reply["id"])))
    return {"cancelled": done.reply["id"]}


@app.get("/bookings")
def listed() -> dict[str, Any]:
    rows = db.session.execute(select(bookings).order_by(bookings.c.id))
    return {"bookings": [dict(row) for row in rows.mappings()]}


app.get("/bookings/outcome")(barrier.outcome)

if __name__ == "__main__":
    with app.app_context():
        db.create_all()
    app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
