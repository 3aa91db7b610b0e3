// An old loyalty programme. It keeps no idempotency keys: each POST takes the points again. What it has taken can be
// searched for by the reference that the client gave.
//
//   POST   /members/{member}/redemptions        201 {"redemption": {"id", "points"}} · 422 too few points
//   GET    /members/{member}/redemptions?ref=…  200 […]
//   DELETE /redemptions/{id}                    204 · 404 when it is gone
const http = require("node:http");

const STARTING_POINTS = 500;
const redemptions = new Map();
let last = 0;

const of = (member) => [...redemptions.values()].filter((each) => each.member === member);

// Returns the JSON object in a body. For any other body it returns an object without fields: the required ones are missing.
function object(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function redeem(member, text) {
  const { points, ref } = object(text);
  if (!(points > 0) || !ref) return [400, { errors: ["points and ref are required"] }];
  const left = STARTING_POINTS - of(member).reduce((sum, each) => sum + each.points, 0);
  if (points > left) return [422, { errors: [`only ${left} points are left`] }];
  const redemption = { id: (last += 1), member, points, ref };
  redemptions.set(String(redemption.id), redemption);
  return [201, { redemption }];
}

function answer({ method, url }, text) {
  const { pathname, searchParams } = new URL(url, "http://loyalty");
  const [, kind, name, rest] = pathname.split("/").map(decodeURIComponent);
  if (kind === "redemptions" && method === "DELETE")
    return redemptions.delete(name) ? [204] : [404, { errors: ["no such redemption"] }];
  if (kind !== "members" || rest !== "redemptions") return [404, { errors: ["no such resource"] }];
  if (method === "POST") return redeem(name, text);
  const ref = searchParams.get("ref");
  if (method === "GET") return [200, of(name).filter((each) => !ref || each.ref === ref)];
  return [405, { errors: ["method not allowed"] }];
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
