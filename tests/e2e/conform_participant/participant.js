// A participant behind a barrier, in plain Node. It keeps its state in the file STATE. `POST /fault {"name"}` plants one
// fault at a time; each fault breaks one line of the contract that `saga conform` tries. A fault of calls that meet waits
// until they have met, so it needs no luck: the test plants it only for the calls of its line.
const fs = require("node:fs");
const { EventEmitter, once: first } = require("node:events");
const http = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const LARGEST_BODY = 1 << 20;
const STATE = process.env.STATE;
const state = fs.existsSync(STATE) ? JSON.parse(fs.readFileSync(STATE)) : { bookings: {}, keys: {}, last: 0, fees: 0, fault: "" };
const running = new Map(); // idempotency key → the promise of the call that is at work
const meetings = new EventEmitter().setMaxListeners(0);
const waiting = new Map(); // idempotency key → how many of its calls wait for each other
const held = new Set(); // idempotency keys whose first call was held until its client hung up
let reading = Promise.resolve();

const has = (fault) => state.fault === fault;
const problem = (status, detail) => ({ status, body: { detail } });

async function meet(key, number) {
  waiting.set(key, (waiting.get(key) ?? 0) + 1);
  if (waiting.get(key) < number) return first(meetings, key);
  waiting.delete(key);
  meetings.emit(key);
}

async function beforeItsAct(key, request) {
  const undoKey = `${key.slice(0, -2)}undo`;
  if (has("race")) return meet(key, 4);
  if (has("undo-race") && !state.keys[undoKey]) return first(meetings, undoKey);
  if (!has("hang-up") || held.has(key)) return sleep(2);
  held.add(key);
  if (!request.socket.destroyed) await first(request.socket, "close");
}

function commit() {
  const done = Object.fromEntries(Object.entries(state.keys).filter(([key]) => key.endsWith("/do")));
  const kept = has("memory") ? { ...state, keys: {} } : has("undo-memory") ? { ...state, keys: done } : state;
  fs.writeFileSync(`${STATE}.new`, JSON.stringify(kept));
  fs.renameSync(`${STATE}.new`, STATE);
}

function book({ city }, text, key) {
  const twin = Object.values(state.bookings).find((each) => each.text === text && each.key !== key);
  const id = has("one-for-all") && twin ? twin.id : `b${(state.last += 1)}`;
  state.bookings[id] = { id, city, text, key };
  state.fees += 5;
  return { status: 201, body: { id, city }, booking: id };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (has("broken-json")) throw error;
    return undefined;
  }
}

function act(key, text) {
  const body = parsed(text);
  if (typeof body?.city !== "string" || !body.city) {
    if (has("odd-books")) book({ city: "Oslo" }, text, key);
    return problem(400, "city is required");
  }
  if (body.city === "Atlantis" && has("refusal-books")) book(body, text, key);
  if (body.city === "Atlantis" && has("refused-200")) return { status: 200, body: { id: "none" }, refused: true };
  return body.city === "Atlantis" ? { ...problem(409, "no seat"), refused: true } : book(body, text, key);
}

async function once(key, text, request) {
  const known = state.keys[key];
  if (state.keys[`${key.slice(0, -2)}undo`] && known && has("late-books")) book(JSON.parse(text), text, key);
  if (state.keys[`${key.slice(0, -2)}undo`] && !(has("late") && known) && !has("no-tombstone")) return problem(410, "undone");
  if (has("no-tombstone") && known?.undone) return problem(410, "undone");
  if (known && known.text !== text && !has("other-body")) return problem(422, "the key came with another body");
  if (known && !has("again") && !(has("forget-refusal") && known.refused)) return known;
  await beforeItsAct(key, request);
  const reply = has("forget-refusal") && known?.refused ? book({ city: "Atlantis" }, text, key) : act(key, text);
  const gone = has("hang-up") && request.socket.destroyed;
  if (!gone && reply.status !== 400) state.keys[key] = { ...reply, text };
  commit();
  return reply;
}

async function undo(key) {
  const action = state.keys[`${key.slice(0, -4)}do`];
  if (state.keys[key]) return has("undo-once") ? problem(409, "it is undone already") : state.keys[key];
  if (!action && has("unknown")) return problem(404, "there is no such booking");
  if (action?.refused && has("refused-undo")) return problem(409, "it was refused");
  if (action && has("undo-again")) await meet(key, 4);
  const other = !action && has("undo-another") ? Object.keys(state.bookings).at(-1) : undefined;
  const one = { "undo-oldest": 0, "undo-newest": -1 }[state.fault];
  const own = action && one !== undefined ? Object.keys(state.bookings).at(one) : action?.booking;
  if (action && has("undo-error")) return { status: 200, body: { error: "it is too late" } };
  if ((own ?? other) && !has("undo-nothing")) delete state.bookings[own ?? other];
  if (action?.booking && has("undo-all")) state.bookings = {};
  if (action?.booking && has("undo-two")) delete state.bookings[Object.keys(state.bookings)[0]];
  if (action?.booking && !has("keep-fee")) state.fees -= 5;
  if (action) action.undone = true;
  if (action && has("undo-marks-all")) for (const each of Object.values(state.keys)) each.undone = true;
  state.keys[key] = { status: 200, body: { undone: Boolean(action?.booking) } };
  commit();
  meetings.emit(key);
  return state.keys[key];
}

function outcome(key) {
  const known = state.keys[key];
  if (known?.refused && has("refused-200")) return problem(404, "it has not been done");
  if (known?.refused && has("refusal-books")) return { status: 200, body: { id: "?" } };
  if (known && !known.refused && !known.undone && has("probe-other-id")) return { status: 200, body: { id: "b0" } };
  if (known) return known.undone && !has("probe-undone") ? problem(410, "undone") : known;
  return has("probe") ? { status: 200, body: { id: "?" } } : problem(404, "it has not been done");
}

async function inTurn(key, work) {
  if (has("race")) return work();
  const turn = (running.get(key) ?? Promise.resolve()).then(work, work);
  running.set(key, turn);
  return turn;
}

async function undoInTurn(key) {
  if (has("undo-race")) return undo(key);
  const action = `${key.slice(0, -4)}do`;
  return has("undo-again") ? (running.get(action) ?? Promise.resolve()).then(() => undo(key)) : inTurn(action, () => undo(key));
}

async function bodyOf(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > LARGEST_BODY && has("huge")) request.socket.destroy();
    if (size <= LARGEST_BODY) pieces.push(piece);
  }
  return size > LARGEST_BODY ? undefined : Buffer.concat(pieces).toString();
}

async function answer(request) {
  const { method, url, headers } = request;
  if (has("one-at-a-time")) {
    const before = reading;
    reading = new Promise((resolve) => request.on("end", resolve).on("close", resolve));
    await before;
  }
  const text = await bodyOf(request);
  if (headers.authorization !== "Bearer conform-token") return problem(401, "unauthorized");
  if (text === undefined) return problem(413, "too large");
  const key = headers["idempotency-key"];
  if (method === "POST" && url === "/fault") return ((state.fault = JSON.parse(text).name), commit(), { status: 200, body: {} });
  if (method === "GET" && url === "/bookings") return { status: 200, body: Object.values(state.bookings) };
  if (method === "GET" && url === "/balance") return { status: 200, body: { bookings: state.bookings, fees: state.fees } };
  if (method === "GET" && url === "/bookings/outcome") return outcome(key);
  if (method === "POST" && url === "/bookings") return inTurn(key, () => once(key, text, request));
  if (method === "POST" && url === "/bookings/undo") return undoInTurn(key);
  return problem(404, "no such resource");
}

http
  .createServer(async (request, response) => {
    const { status, body } = await answer(request).catch((error) => problem(500, String(error)));
    const plain = has("text-reply") && request.url === "/bookings" && request.method === "POST";
    response.writeHead(status, { "Content-Type": plain ? "text/plain" : "application/json" });
    response.end(plain ? "booked" : JSON.stringify(body));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
