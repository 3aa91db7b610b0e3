// A messenger. It takes a form, answers 202 at once and sends the message later. It has no keys; the client's tag
// keeps it from sending a message twice.
//
//   POST /messages   202 {"queued": true}
//   GET  /messages   200 {"messages": […]}
const http = require("node:http");

const messages = new Map(); // by tag

function answer({ method, url }, text) {
  if (url !== "/messages") return [404, { error: "no such resource" }];
  if (method === "GET") return [200, { messages: [...messages.values()] }];
  if (method !== "POST") return [405, { error: "method not allowed" }];
  const form = new URLSearchParams(text);
  if (!form.get("to") || !form.get("text") || !form.get("tag")) return [400, { error: "to, text and tag are required" }];
  messages.set(form.get("tag"), { to: form.get("to"), text: form.get("text"), via: form.getAll("via") });
  return [202, { queued: true }];
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
