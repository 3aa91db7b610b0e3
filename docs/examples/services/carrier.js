// A parcel carrier. It takes three requests a second and answers 429 with Retry-After to others. It keeps idempotency
// keys under another name, X-Request-Id. A label is a PDF, whose place is in the header Location.
//
//   POST /shipments                201 {"shipment": {"id", "tracking": {"code"}}} · 422 {"title": "…"}
//   POST /shipments/{id}/cancel    200 · 200 when it was canceled before
//   PUT  /shipments/{id}/label     201 (a PDF), Location: /labels/{number} · the same when it is repeated
//   GET  /shipments                200 {"shipments": […], "labels": …}
const http = require("node:http");

const PER_SECOND = 3;
const shipments = new Map();
const keys = new Map(); // request id → reply
const labels = new Map(); // shipment → number
let times = [];

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function ship(text) {
  const { address, parcels } = object(text);
  if (!address?.city || !(parcels > 0)) return [400, { title: "address and parcels are required" }];
  if (address.country === "AQ") return [422, { title: "no parcels to Antarctica" }];
  const id = `shp-${shipments.size + 1}`;
  shipments.set(id, { id, address, status: "announced", tracking: { code: `TRK${1000 + shipments.size}` } });
  return [201, { shipment: { ...shipments.get(id) } }];
}

function once(key, act) {
  if (!key) return [400, { title: "X-Request-Id is required" }];
  if (!keys.has(key)) keys.set(key, act());
  return keys.get(key);
}

function busy() {
  times = times.filter((time) => time > Date.now() - 1000);
  return times.length >= PER_SECOND || !times.push(Date.now());
}

function answer({ method, url, headers }, text) {
  const [, kind, id, verb] = url.split("/");
  if (kind !== "shipments") return [404, { title: "no such resource" }];
  if (method === "GET") return [200, { shipments: [...shipments.values()], labels: labels.size }];
  if (busy()) return [429, { title: "too many requests" }, { "Retry-After": "1" }];
  if (method === "POST" && !id) return once(headers["x-request-id"], () => ship(text));
  const shipment = shipments.get(id);
  if (!shipment) return [404, { title: "no such shipment" }];
  if (method === "POST" && verb === "cancel") {
    shipment.status = "canceled";
    return [200, { shipment }];
  }
  if (method !== "PUT" || verb !== "label") return [405, { title: "method not allowed" }];
  if (!labels.has(id)) labels.set(id, labels.size + 1);
  return [201, "%PDF-1.4 …", { Location: `/labels/${labels.get(id)}`, "Content-Type": "application/pdf" }];
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const [status, body, headers] = answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
