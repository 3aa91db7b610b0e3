"""An airline behind the barrier, with FastAPI and plain SQLAlchemy, on PORT. DATABASE_URL names a PostgreSQL database.

`barrier` is your copy of `rules.py` and `dbapi.py`. The routes are `def`, not `async def`: each runs in a thread.
"""

import json
import os
from typing import Annotated, Any

import uvicorn
from barrier.dbapi import CREATE, Answer, Barrier, Problem, Refused
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, create_engine, text

LARGEST_BODY = 1 << 20
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"), pool_size=40)
with engine.begin() as connection:
    connection.execute(text(CREATE))
    connection.execute(text("CREATE TABLE IF NOT EXISTS booking (id bigserial PRIMARY KEY, city text NOT NULL)"))
app = FastAPI()


async def json_object(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise Problem(413, "Too large", f"at most {LARGEST_BODY} bytes")
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "Invalid body", "the body must be a JSON object")
    return body


@app.post("/bookings")
def book(request: Request, body: Annotated[dict[str, Any], Depends(json_object)]) -> JSONResponse:
    with engine.begin() as connection:
        barrier = Barrier(connection.connection.cursor())
        return sent(barrier.do(request.headers, "POST /bookings", body, lambda: add_booking(connection, body)))


@app.post("/bookings/undo")
def cancel(request: Request) -> JSONResponse:
    with engine.begin() as connection:
        barrier = Barrier(connection.connection.cursor())
        return sent(barrier.undo(request.headers, lambda done: delete_booking(connection, done.reply["id"])))


@app.get("/bookings/outcome")
def outcome(request: Request) -> JSONResponse:
    with engine.begin() as connection:
        return sent(Barrier(connection.connection.cursor()).outcome(request.headers))


@app.get("/bookings")
def bookings() -> dict[str, Any]:
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT id, city FROM booking ORDER BY id"))
        return {"bookings": [dict(row) for row in rows.mappings()]}


def add_booking(connection: Connection, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    city = body.get("city")
    if not isinstance(city, str) or not city or "\0" in city:
        raise Problem(400, "Invalid body", "city is required")
    if city == "Atlantis":
        raise Refused(409, "No seat", f"there is no seat to {city}")
    added = connection.execute(text("INSERT INTO booking (city) VALUES (:city) RETURNING id"), {"city": city})
    return 201, {"id": str(added.scalar_one()), "city": city}


def delete_booking(connection: Connection, booking_id: str) -> tuple[int, dict[str, Any]]:
    connection.execute(text("DELETE FROM booking WHERE id = :id"), {"id": int(booking_id)})
    return 200, {"cancelled": booking_id}


def sent(answer: Answer) -> JSONResponse:
    return JSONResponse(answer.body, answer.status, {"Idempotent-Replayed": "true"} if answer.replayed else None)


@app.exception_handler(Problem)
def refuse(_request: Request, problem: Problem) -> JSONResponse:
    return JSONResponse(problem.document, problem.status, media_type="application/problem+json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
