// A car rental. It reads everything from the query, answers with an empty body, and names the rental in the header
// Location. It keeps idempotency keys, and wants an API key in a header of its own.
//
//   POST   /rentals?city=…&days=…&extras=…   201, Location: /rentals/{id} · 422 {"error": "…"}
//   DELETE /rentals/{id}                     204 · 410 when it is gone
//   GET    /rentals                          200 {"rentals": […]}
const http = require("node:http");

const API_KEY = process.env.TOKEN ?? "car-key";
const LONGEST_DAYS = 30;
const rentals = new Map();
const keys = new Map(); // idempotency key → reply
let last = 1000;

function rent(query) {
  const days = Number(query.get("days"));
  if (!query.get("city") || !(days > 0)) return [400, { error: "city and days are required" }];
  if (days > LONGEST_DAYS) return [422, { error: `at most ${LONGEST_DAYS} days` }];
  const id = `R/${(last += 1)}`; // an id with a slash: it has to be percent-encoded in a path
  rentals.set(id, { id, city: query.get("city"), days, extras: query.getAll("extras") });
  return [201, undefined, { Location: `/rentals/${encodeURIComponent(id)}` }];
}

function once(key, query) {
  if (!keys.has(key)) keys.set(key, rent(query));
  return keys.get(key);
}

function answer({ method, url, headers }) {
  if (headers["x-car-key"] !== API_KEY) return [401, { error: "unknown key" }];
  const { pathname, searchParams } = new URL(url, "http://car");
  const [, kind, id] = pathname.split("/").map(decodeURIComponent);
  if (kind !== "rentals") return [404, { error: "no such resource" }];
  if (method === "POST" && !id) return once(headers["idempotency-key"], searchParams);
  if (method === "GET" && !id) return [200, { rentals: [...rentals.values()] }];
  if (method === "DELETE" && id) return rentals.delete(id) ? [204] : [410, { error: "the rental is gone" }];
  return [405, { error: "method not allowed" }];
}

http
  .createServer((request, response) => {
    request.resume();
    const [status, body, headers] = answer(request);
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(body && JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
