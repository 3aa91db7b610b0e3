// A card payment service. It takes forms, counts in cents, and wants a bearer token. A payment is authorised, and then
// captured or cancelled. A payment that needs the customer (requires_action) is no success, but it is left behind.
// The bank of the card takes a while to capture: the answer is 202, and the payment is sent to the webhook when it is settled.
// It keeps idempotency keys: a repeated key gets the first reply, and 409 while the first request is at work.
//
//   POST /v1/payments               200 {"id", "status": "requires_capture" | "requires_action"} · 402 card_declined
//   POST /v1/payments/{id}/capture  202 {"id", "status": "processing"}
//        its webhook gets           {"id", "status": "captured" | "capture_failed"}
//   POST /v1/payments/{id}/cancel   200 {"id", "status": "canceled"} · 400 with the payment, when it is canceled
//                                   409 while it is processing
//   GET  /v1/payments[/{id}]        200
const http = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const TOKEN = process.env.TOKEN ?? "card-token";
const WORK_MS = Number(process.env.WORK_MS ?? 10);
const SETTLE_MS = Number(process.env.SETTLE_MS ?? 100);
const payments = new Map();
const ATTEMPTS = 120; // a webhook that cannot be reached gets its message later
const PAUSE_MS = 500;
const keys = new Map(); // idempotency key → reply; undefined while the request is at work

const failed = (status, code, payment) => [status, { error: { code, payment } }];

function authorise(form) {
  const amount = Number(form.get("amount"));
  if (!Number.isInteger(amount) || amount <= 0) return failed(400, "amount_must_be_cents");
  if (form.get("card") === "tok_declined") return failed(402, "card_declined");
  const status = form.get("card") === "tok_customer_must_act" ? "requires_action" : "requires_capture";
  const payment = { id: `pay_${payments.size + 1}`, amount, card: form.get("card"), currency: form.get("currency"), status };
  payments.set(payment.id, payment);
  return [200, { ...payment }];
}

function capture(payment, webhook) {
  if (payment.status !== "requires_capture") return failed(400, "unexpected_state", payment);
  if (!webhook) return failed(400, "webhook_missing");
  payment.status = "processing";
  void settle(payment, webhook);
  return [202, { ...payment }];
}

async function settle(payment, webhook) {
  await sleep(SETTLE_MS);
  payment.status = payment.card === "tok_expires" ? "capture_failed" : "captured";
  const message = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(payment) };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const status = await fetch(webhook, message).then((response) => response.status, () => undefined);
    if (status < 500) return; // 2xx: it is received; 4xx: nobody wants it
    await sleep(PAUSE_MS);
  }
}

function cancel(payment) {
  if (payment.status === "processing") return failed(409, "capture_in_progress");
  if (["captured", "canceled"].includes(payment.status)) return failed(400, "unexpected_state", payment);
  payment.status = "canceled";
  return [200, { ...payment }];
}

async function once(key, act) {
  if (!key) return failed(400, "idempotency_key_missing");
  if (keys.has(key)) return keys.get(key) ?? failed(409, "idempotency_key_in_use");
  keys.set(key, undefined);
  await sleep(WORK_MS);
  keys.set(key, act());
  return keys.get(key);
}

async function answer({ method, url, headers }, text) {
  if (headers.authorization !== `Bearer ${TOKEN}`) return failed(401, "invalid_token");
  const [, version, kind, id, verb] = url.split("/");
  if (version !== "v1" || kind !== "payments") return failed(404, "no_such_resource");
  if (method === "GET" && !id) return [200, { payments: [...payments.values()] }];
  if (id && !payments.has(id)) return failed(404, "no_such_payment");
  if (method === "GET") return [200, payments.get(id)];
  if (method !== "POST") return failed(405, "method_not_allowed");
  if (headers["content-type"] !== "application/x-www-form-urlencoded" && text) return failed(415, "send_a_form");
  if (!id) return once(headers["idempotency-key"], () => authorise(new URLSearchParams(text)));
  const payment = payments.get(id);
  if (verb === "capture")
    return once(headers["idempotency-key"], () => capture(payment, new URLSearchParams(text).get("webhook")));
  if (verb === "cancel") return once(headers["idempotency-key"], () => cancel(payment));
  return failed(404, "no_such_resource");
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const [status, body] = await answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
