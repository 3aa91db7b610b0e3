// An airline behind the barrier, in plain Node with pg, on PORT. DATABASE_URL names a PostgreSQL database. BARRIER is the
// folder of the package; in a project of your own write require("saga-barrier").
const http = require("node:http");
const { createRequire } = require("node:module");
const { Barrier, Problem, Refused } = require(process.env.BARRIER);
const { Pool } = createRequire(`${process.env.BARRIER}/barrier.js`)("pg");

const LARGEST_BODY = 1 << 20;
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 16 });
const barrier = new Barrier(pool);

async function book(client, { city }) {
  if (typeof city !== "string" || !city || city.includes("\0")) throw new Problem(400, "Invalid body", "city is required");
  if (city === "Atlantis") throw new Refused(409, "No seat", `there is no seat to ${city}`);
  const { rows } = await client.query("INSERT INTO booking (city) VALUES ($1) RETURNING id", [city]);
  return [201, { id: rows[0].id, city }];
}

async function cancel(client, { reply }) {
  await client.query("DELETE FROM booking WHERE id = $1", [reply.id]);
  return [200, { cancelled: reply.id }];
}

async function jsonObject(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) if ((size += piece.length) <= LARGEST_BODY) pieces.push(piece);
  if (size > LARGEST_BODY) throw new Problem(413, "Too large", `at most ${LARGEST_BODY} bytes`);
  let body;
  try {
    body = JSON.parse(Buffer.concat(pieces).toString() || "{}");
  } catch {}
  if (body === null || typeof body !== "object" || Array.isArray(body))
    throw new Problem(400, "Invalid body", "the body must be a JSON object");
  return body;
}

async function answer(request) {
  const { method, url, headers } = request;
  const body = method === "POST" ? await jsonObject(request) : {};
  switch (`${method} ${url}`) {
    case "POST /bookings":
      return barrier.do(headers, "POST /bookings", body, (client) => book(client, body));
    case "POST /bookings/undo":
      return barrier.undo(headers, cancel);
    case "GET /bookings/outcome":
      return barrier.outcome(headers);
    case "GET /bookings":
      return { status: 200, body: { bookings: (await pool.query("SELECT id, city FROM booking ORDER BY id")).rows } };
  }
  throw new Problem(404, "No such resource");
}

async function reply(request, response) {
  let found;
  try {
    found = await answer(request);
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    const problem = error instanceof Problem ? error : new Problem(500, "Internal Server Error");
    found = { status: problem.status, body: problem.document };
  }
  const replayed = found.replayed ? { "Idempotent-Replayed": "true" } : {};
  response.writeHead(found.status, { "Content-Type": "application/json", ...replayed });
  response.end(JSON.stringify(found.body));
}

(async () => {
  await barrier.create();
  await pool.query("CREATE TABLE IF NOT EXISTS booking (id bigserial PRIMARY KEY, city text NOT NULL)");
  pool.on("error", (error) => console.error(String(error))); // an idle connection was lost; pg opens another
  http.createServer(reply).listen(Number(process.env.PORT), "127.0.0.1");
})();
