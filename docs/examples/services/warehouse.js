// A warehouse. It chooses the ids of its reservations and keeps idempotency keys. It answers 409 for two reasons: it has
// too few units (out_of_stock), or it is still at work (in_progress). To pick goods takes a while: the answer is 202, and the
// status of the reservation says what became of it. It is short when an article is not on its shelf.
//
//   POST   /reservations               201 {"reservation": {"id"}} · 409 {"reason": "out_of_stock" | "in_progress"}
//   POST   /reservations/{id}/pick     202: somebody picks the goods · 409 {"reason": "picked" | "in_progress" | "short"}
//   GET    /reservations/{id}          200 {"reservation": {"status": "reserved" | "picking" | "picked" | "short"}}
//   DELETE /reservations/{id}          204 · 404 when it is gone · 409 {"reason": "picked" | "in_progress"}
//   GET    /reservations               200 {"reservations": […], "stock": {…}}
const http = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const WORK_MS = Number(process.env.WORK_MS ?? 10);
const PICK_MS = Number(process.env.PICK_MS ?? 300);
const stock = { pen: 100, lamp: 2, vase: 1 };
const MISSING = "vase"; // it is in stock, but not on its shelf
const reservations = new Map();
const REASONS = { picking: "in_progress", picked: "picked", short: "short" }; // by the status of a reservation
const keys = new Map(); // idempotency key → reply; undefined while the request is at work

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function reserve(text) {
  const { lines } = object(text);
  if (!Array.isArray(lines) || !lines.length || !lines.every((line) => line?.article)) return [400, { reason: "no_lines" }];
  if (lines.some(({ article, quantity }) => !(stock[article] >= quantity))) return [409, { reason: "out_of_stock" }];
  for (const { article, quantity } of lines) stock[article] -= quantity;
  const reservation = { id: `res-${reservations.size + 1}`, lines, status: "reserved" };
  reservations.set(reservation.id, reservation);
  return [201, { reservation: { ...reservation } }];
}

function pick(reservation) {
  if (reservation.status !== "reserved") return [409, { reason: REASONS[reservation.status] }];
  reservation.status = "picking";
  const missing = reservation.lines.some(({ article }) => article === MISSING);
  setTimeout(() => (reservation.status = missing ? "short" : "picked"), PICK_MS);
  return [202, { reservation: { ...reservation } }];
}

function release(reservation) {
  if (["picking", "picked"].includes(reservation.status)) return [409, { reason: REASONS[reservation.status] }];
  reservation.status = "released";
  for (const { article, quantity } of reservation.lines) stock[article] += quantity;
  return [204];
}

async function once(key, act) {
  if (keys.has(key)) return keys.get(key) ?? [409, { reason: "in_progress" }];
  keys.set(key, undefined);
  await sleep(WORK_MS);
  keys.set(key, act());
  return keys.get(key);
}

async function answer({ method, url, headers }, text) {
  const [, kind, id, verb] = url.split("/");
  const key = headers["idempotency-key"];
  if (kind !== "reservations") return [404, { reason: "no_such_resource" }];
  if (method === "GET" && !id) return [200, { reservations: [...reservations.values()], stock }];
  if (method === "POST" && !id) return once(key, () => reserve(text));
  const reservation = reservations.get(id);
  if (!reservation || reservation.status === "released") return [404, { reason: "no_such_reservation" }];
  if (method === "GET") return [200, { reservation }];
  if (method === "POST" && verb === "pick") return once(key, () => pick(reservation));
  if (method === "DELETE") return release(reservation);
  return [405, { reason: "method_not_allowed" }];
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
