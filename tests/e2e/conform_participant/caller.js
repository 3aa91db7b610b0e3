// A participant behind a barrier that accepts each booking with 202 and sends its answer later, in plain Node.
// `POST /fault {"name"}` plants one fault at a time; each fault breaks one line of the contract.
const http = require("node:http");

const WORK_MS = 200;
const AGAIN_MS = 100;
const TAKEN = [200, 400, 404, 409, 410]; // after these the answer is not sent again
const bookings = new Map(); // idempotency key of the action → { id, state, text }
let fault = "";
let last = 0;

const has = (name) => fault === name;
const problem = (status, detail) => ({ status, body: { detail } });

function send(url, body, kind = "application/json") {
  const method = has("wrong-method") ? "PUT" : "POST";
  return fetch(url, { method, headers: { "Content-Type": kind }, body: JSON.stringify(body) })
    .then((reply) => reply.status)
    .catch(() => 0);
}

// Sends an answer until the saga has taken it.
async function tell(url, booking, planted) {
  for (let times = 0; times < 4 && planted === fault; times += 1) {
    const refusal = { status: 409, title: "it was undone" };
    const id = has("other-again") && times > 0 ? `${booking.id}-${times}` : booking.id;
    const status =
      booking.state === "undone"
        ? await send(url, refusal, "application/problem+json")
        : await send(url, has("no-field") ? { ok: true } : { id });
    const ends = TAKEN.includes(status) && !(has("endless") && status === 200);
    if (ends || has("once")) return;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function work(url, booking) {
  const planted = fault;
  setTimeout(() => {
    if (booking.state !== "undone") booking.state = "booked";
    if (!has("silent")) tell(url, booking, planted);
  }, WORK_MS);
}

function book(key, text, url) {
  let city;
  try {
    ({ city } = JSON.parse(text));
  } catch {
    return problem(400, "the body is no JSON");
  }
  if (typeof city !== "string" || !city) return problem(400, "city is required");
  const known = bookings.get(key);
  if (known?.state === "undone") return problem(410, "undone");
  if (known && known.text !== text) return problem(422, "the key came with another body");
  if (!url) return problem(400, "Saga-Reply-To is required");
  if (known && !has("new-answer")) return { status: 202, body: {} };
  const booking = { id: `b${(last += 1)}`, state: "open", text, url };
  if (!known) bookings.set(key, booking);
  work(url, booking);
  return { status: 202, body: {} };
}

// Sends answers after an undo, whatever they get.
async function insist(booking) {
  for (let times = 0; times < 20; times += 1) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (has("after-undo")) await send(booking.url, { id: booking.id });
    else await send(booking.url, { status: 409, title: "it was undone" }, "application/problem+json");
  }
}

function undo(key) {
  const action = `${key.slice(0, -4)}do`;
  const booking = bookings.get(action) ?? { state: "undone" };
  const open = booking.state === "open";
  booking.state = "undone";
  bookings.set(action, booking);
  if (open && (has("after-undo") || has("deaf"))) insist(booking);
  return { status: 200, body: {} };
}

async function answer({ method, url, headers }, text) {
  const key = headers["idempotency-key"];
  if (method === "POST" && url === "/fault") return (fault = JSON.parse(text).name), { status: 200, body: {} };
  if (method === "GET" && url === "/bookings") {
    return { status: 200, body: [...bookings.values()].filter((each) => each.state === "booked") };
  }
  if (method === "POST" && url === "/bookings") return book(key, text, headers["saga-reply-to"]);
  if (method === "POST" && url === "/bookings/undo") return undo(key);
  return problem(404, "no such resource");
}

http
  .createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) if (text.length < 1 << 20) text += piece;
    const { status, body } = await answer(request, text);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
