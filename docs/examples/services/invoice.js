// A bookkeeping service. It has no idempotency keys. An invoice has a reference that is unique: a second invoice with
// the same reference is answered with 409 and the invoice that exists.
//
//   POST /invoices   201 {"data": {"number", "total"}} · 409 {"error": "duplicate", "data": {"number", "total"}}
//   GET  /invoices   200 {"data": […]}
const http = require("node:http");

const invoices = new Map(); // by reference

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function write(text) {
  const { reference, lines, total } = object(text);
  if (!reference || !lines?.length) return [400, { error: "reference and lines are required" }];
  if (typeof total !== "number") return [400, { error: "total must be a number" }];
  if (invoices.has(reference)) return [409, { error: "duplicate", data: invoices.get(reference) }];
  invoices.set(reference, { number: `INV-${invoices.size + 1}`, reference, lines, total });
  return [201, { data: invoices.get(reference) }];
}

function answer({ method, url }, text) {
  if (url !== "/invoices") return [404, { error: "no such resource" }];
  if (method === "POST") return write(text);
  if (method === "GET") return [200, { data: [...invoices.values()] }];
  return [405, { error: "method not allowed" }];
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const [status, body] = answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
