// The barrier for Node, on PostgreSQL with pg. It keeps the same rules and the same ledger as ../rules.py:
//
//   - The same key gets the same answer again; the effect happens once.
//   - An undo of an action that never happened is accepted and recorded. The action is refused when it arrives (410).
//   - An undo gets the recorded request and reply of its action.
//   - A refusal changes nothing and is recorded. A crash changes nothing and is not recorded.
//
//   const barrier = new Barrier(pool);
//   await barrier.create();
//   const { status, body, replayed } = await barrier.do(request.headers, "POST /bookings", body, async (client) => [201, …]);
//
// An action and an undo use the client that they get, and neither commit nor roll back. They throw Refused to refuse; any
// other error is a crash. Every method throws Problem for an answer that ends the call: send its status and document.
const { createHash } = require("node:crypto");

const KEY = /^([A-Za-z0-9._:~-]{1,100})\/([A-Za-z0-9._:~-]{1,100})\/(do|undo)$/;
const CREATE = `
CREATE TABLE IF NOT EXISTS barrier_ledger (
    key varchar(210) PRIMARY KEY, saga_id varchar(100) NOT NULL, step varchar(100) NOT NULL,
    direction varchar(4) NOT NULL, state varchar(10) NOT NULL, epoch bigint, fingerprint varchar(64), request json,
    status integer, reply json, at timestamptz NOT NULL
)`;
const ADD = `
INSERT INTO barrier_ledger (key, saga_id, step, direction, state, epoch, fingerprint, request, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp()) ON CONFLICT DO NOTHING`;
const PRUNE = `
DELETE FROM barrier_ledger
WHERE at < clock_timestamp() - make_interval(secs => $1)
   OR (at < clock_timestamp() - make_interval(secs => $2) AND NOT (direction = 'do' AND state = 'done'))`;

class Problem extends Error {
  constructor(status, title, detail = "") {
    super(detail);
    this.status = status;
    this.document = { type: `urn:problem:${title.toLowerCase().replaceAll(" ", "-")}`, title, status, detail };
  }
}

// A refusal for a business reason. The call has changed nothing.
class Refused extends Problem {}

class Barrier {
  constructor(pool) {
    this.pool = pool;
  }

  async create() {
    await this.pool.query(CREATE);
  }

  // Do an action once. recordRefusals: false for a retriable action, whose caller must succeed in the end.
  do(headers, path, body, act, { recordRefusals = true } = {}) {
    const key = keyOf(headers, "do");
    const fingerprint = createHash("sha256").update(`${path}\n${canonical(body)}`).digest("hex");
    return this.#transaction(async (client) => {
      if (!(await add(client, key, "done", headers, fingerprint, body))) return repeated(client, key, fingerprint);
      await client.query("SAVEPOINT barrier");
      try {
        return await record(client, key, "done", await act(client));
      } catch (error) {
        if (!(error instanceof Refused) || !recordRefusals) throw error;
        await client.query("ROLLBACK TO SAVEPOINT barrier");
        return record(client, key, "refused", [error.status, error.document]);
      }
    });
  }

  // Undo an action once. act: gets the client, and the recorded request and reply of the action.
  undo(headers, act) {
    const key = keyOf(headers, "undo");
    const action = { ...key, direction: "do", text: `${key.sagaId}/${key.step}/do` };
    return this.#transaction(async (client) => {
      if (!(await add(client, key, "done", headers))) return replayed(client, key);
      if (await add(client, action, "tombstone", headers)) return record(client, key, "done", neverDone("never done"));
      const row = await find(client, action);
      if (row.state === "refused") return record(client, key, "done", neverDone("was refused"));
      const answer = await act(client, { request: row.request, reply: row.reply });
      await client.query("UPDATE barrier_ledger SET state = 'undone' WHERE key = $1", [action.text]);
      return record(client, key, "done", answer);
    });
  }

  // Return the recorded answer of an action. 404 means that it has not arrived; it can still arrive.
  async outcome(headers) {
    const key = keyOf(headers, "do");
    const row = await find(this.pool, key);
    if (!row) throw new Problem(404, "Not done", `${key.text} has not been done`);
    return answerOf(row, key);
  }

  // Delete old rows and return their number. lateCallS: how long after a call a duplicate of it may still come.
  // lateUndoS: how long after an action its undo may still come; a later undo is answered "never done".
  async prune({ lateCallS, lateUndoS }) {
    if (!(lateCallS >= 0 && lateUndoS >= lateCallS)) {
      throw new RangeError("lateCallS must not be negative, and lateUndoS must not be shorter than lateCallS");
    }
    return (await this.pool.query(PRUNE, [lateUndoS, lateCallS])).rowCount;
  }

  async #transaction(work) {
    const client = await this.pool.connect();
    let broken;
    try {
      await client.query("BEGIN");
      const answer = await work(client);
      await client.query("COMMIT");
      return answer;
    } catch (error) {
      await client.query("ROLLBACK").catch((failed) => (broken = failed));
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

function keyOf(headers, direction) {
  const text = headers["idempotency-key"] ?? "";
  const found = KEY.exec(text);
  if (!found || found[3] !== direction)
    throw new Problem(400, "Bad idempotency key", `Idempotency-Key must be <saga id>/<step>/${direction}`);
  return { text, sagaId: found[1], step: found[2], direction };
}

async function add(client, key, state, headers, fingerprint = null, body = undefined) {
  const epoch = /^\d{1,18}$/.test(headers["saga-epoch"] ?? "") ? headers["saga-epoch"] : null;
  const request = body === undefined ? null : JSON.stringify(body);
  const values = [key.text, key.sagaId, key.step, key.direction, state, epoch, fingerprint, request];
  return (await client.query(ADD, values)).rowCount === 1;
}

async function find(client, key) {
  const found = await client.query("SELECT * FROM barrier_ledger WHERE key = $1", [key.text]);
  return found.rows[0];
}

async function record(client, key, state, [status, body]) {
  if (state === "done" && !(status >= 200 && status < 300))
    throw new RangeError(`an action behind the barrier answered ${status}: it must throw Refused instead`);
  const values = [state, status, JSON.stringify(body), key.text];
  await client.query("UPDATE barrier_ledger SET state = $1, status = $2, reply = $3 WHERE key = $4", values);
  return { status, body, replayed: false };
}

async function repeated(client, key, fingerprint) {
  const row = await find(client, key);
  const answer = answerOf(row, key);
  if (row.fingerprint !== fingerprint)
    throw new Problem(422, "Idempotency key reused", `${key.text} came with another request before`);
  return answer;
}

const replayed = async (client, key) => answerOf(await find(client, key), key);

function answerOf(row, key) {
  if (key.direction === "do" && (row.state === "tombstone" || row.state === "undone"))
    throw new Problem(410, "Undone", `${key.text} has been undone and will not be done any more`);
  return { status: row.status, body: row.reply, replayed: true };
}

const neverDone = (reason) => [200, { undone: false, reason }];

// Return JSON with its members in order, so that equal bodies give equal texts.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

module.exports = { Barrier, Problem, Refused, CREATE };
