// An airline. It chooses the ids of its bookings, nests its JSON, wants a bearer token, and keeps idempotency keys:
// a repeated key gets the first reply, 409 while the first request is at work, and 422 with another body.
//
//   POST   /v1/bookings?channel=web   201 {"booking": {"id", "price": {"amount", "currency"}}} · 422 no_seats
//   DELETE /v1/bookings/{id}          204 · 404 when it is gone
//   GET    /v1/bookings               200 {"bookings": […]}
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");

const TOKEN = process.env.TOKEN ?? "flight-token";
const WORK_MS = Number(process.env.WORK_MS ?? 10);
const FARES = { ECONOMY: "129.90", BUSINESS: "980.00" };
const bookings = new Map();
const keys = new Map(); // idempotency key → {text, reply}; reply is undefined while the request is at work

const failed = (status, code) => [status, { error: { code } }];

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

async function book(text) {
  await sleep(WORK_MS);
  const { passenger, route, cabin } = object(text);
  if (!passenger?.name || !route?.to || !FARES[cabin]) return failed(400, "bad_request");
  if (route.to === "Atlantis") return failed(422, "no_seats");
  const booking = {
    id: `bk_${randomUUID().slice(0, 8)}`,
    passenger: passenger.name,
    route,
    price: { amount: FARES[cabin], currency: "EUR" },
  };
  bookings.set(booking.id, booking);
  return [201, { booking }];
}

async function once(key, text) {
  if (!key) return failed(400, "idempotency_key_missing");
  const known = keys.get(key);
  if (known && known.text !== text) return failed(422, "idempotency_key_reused");
  if (known) return known.reply ?? failed(409, "request_in_progress");
  const entry = { text };
  keys.set(key, entry);
  entry.reply = await book(text);
  return entry.reply;
}

async function answer({ method, url, headers }, text) {
  if (headers.authorization !== `Bearer ${TOKEN}`) return failed(401, "unauthorized");
  const [, version, kind, id] = new URL(url, "http://flight").pathname.split("/");
  if (version !== "v1" || kind !== "bookings") return failed(404, "no_such_resource");
  if (method === "POST" && !id) return once(headers["idempotency-key"], text);
  if (method === "GET" && !id) return [200, { bookings: [...bookings.values()] }];
  if (method === "DELETE" && id) return bookings.delete(id) ? [204] : failed(404, "no_such_booking");
  return failed(405, "method_not_allowed");
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const [status, body] = await answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(body && JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
