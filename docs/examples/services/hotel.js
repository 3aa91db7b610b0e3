// A hotel. The client chooses the id of a reservation, so that PUT may be repeated without an idempotency key.
//
//   PUT    /reservations/{id}   201, or 200 when it is the same as before · 409 no rooms
//   DELETE /reservations/{id}   204 · 404 when it is gone
//   GET    /reservations        200 […]
const http = require("node:http");

const ROOMS = 3; // in each city
const reservations = new Map();

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function reserve(id, text) {
  const { city, from, nights } = object(text);
  if (!city || !from || !(nights > 0)) return [400, { message: "city, from and nights are required" }];
  const known = reservations.get(id);
  const taken = [...reservations.values()].filter((each) => each.city === city).length;
  if (!known && (city === "Bethlehem" || taken >= ROOMS)) return [409, { message: "there is no room" }];
  reservations.set(id, { id, city, from, nights });
  return [known ? 200 : 201, reservations.get(id)];
}

function answer({ method, url }, text) {
  const [, kind, id] = url.split("/").map(decodeURIComponent);
  if (kind !== "reservations") return [404, { message: "no such resource" }];
  if (method === "GET" && !id) return [200, [...reservations.values()]];
  if (method === "PUT" && id) return reserve(id, text);
  if (method === "DELETE" && id) return reservations.delete(id) ? [204] : [404, { message: "no such reservation" }];
  return [405, { message: "method not allowed" }];
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const [status, body] = answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(body && JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
