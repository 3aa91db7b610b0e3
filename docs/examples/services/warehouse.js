// A warehouse. It chooses the ids of its reservations and keeps idempotency keys. It answers 409 for two reasons: it has
// too few units (out_of_stock), or it is still at work on the first request with the same key (in_progress).
//
//   POST   /reservations               201 {"reservation": {"id"}} · 409 {"reason": "out_of_stock" | "in_progress"}
//   POST   /reservations/{id}/pick     200 · 409 when it is picked already
//   DELETE /reservations/{id}          204 · 404 when it is gone · 409 {"reason": "picked"}
//   GET    /reservations               200 {"reservations": […], "stock": {…}}
const http = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const WORK_MS = Number(process.env.WORK_MS ?? 10);
const stock = { pen: 100, lamp: 2 };
const reservations = new Map();
const keys = new Map(); // idempotency key → reply; undefined while the request is at work

function reserve(text) {
  const { lines } = JSON.parse(text);
  if (!lines?.length) return [400, { reason: "no_lines" }];
  if (lines.some(({ article, quantity }) => !(stock[article] >= quantity))) return [409, { reason: "out_of_stock" }];
  for (const { article, quantity } of lines) stock[article] -= quantity;
  const reservation = { id: `res-${reservations.size + 1}`, lines, status: "reserved" };
  reservations.set(reservation.id, reservation);
  return [201, { reservation: { ...reservation } }];
}

function change(reservation, method) {
  if (!reservation || reservation.status === "released") return [404, { reason: "no_such_reservation" }];
  if (reservation.status === "picked") return [409, { reason: "picked" }];
  reservation.status = method === "POST" ? "picked" : "released";
  if (method === "POST") return [200, { reservation: { ...reservation } }];
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
  if (method === "POST" && verb === "pick") return once(key, () => change(reservations.get(id), method));
  if (method === "DELETE" && id) return change(reservations.get(id), method);
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
