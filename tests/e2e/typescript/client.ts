// A program with the client that openapi-typescript and openapi-fetch make of /openapi.json. Usage: node client.js URL KEY
import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [url, apiKey] = process.argv.slice(2);
assert(url && apiKey);
const sagas = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": apiKey } });
const cart: components["schemas"]["data.checkout"] = { client_id: 4, magasin_id: 1 };

// Start a saga and wait for its end.
const header = { "Idempotency-Key": "typescript-1", Prefer: "wait=30" };
const started = await sagas.POST("/api/v1/sagas/checkout", { params: { header }, body: cart });
assert.equal(started.response.status, 201);
assert(started.data);
assert.equal(started.data.status, "completed");

// The same key gets the same saga.
const again = await sagas.POST("/api/v1/sagas/checkout", { params: { header }, body: cart });
assert.equal(again.data?.id, started.data.id);
assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");

// Read it, with its steps.
const read = await sagas.GET("/api/v1/sagas/{saga_id}", { params: { path: { saga_id: started.data.id } } });
assert.deepEqual(read.data?.data, cart);
assert(read.data.steps.every((step) => step.status === "completed"));

// Wrong data names the field.
const refused = await sagas.POST("/api/v1/sagas/checkout", { body: { ...cart, client_id: 0 } });
assert.equal(refused.response.status, 400);
assert.deepEqual(refused.error?.errors?.map((wrong) => wrong.pointer), ["/client_id"]);

// A client without money: the saga is compensated, and the problem says why.
const poor = await sagas.POST("/api/v1/sagas/checkout", { body: { ...cart, client_id: 2 } });
assert.equal(poor.response.status, 409);
assert.equal(poor.error?.title, "Saga compensated");
assert(poor.error.saga_id);

// A batch: a saga or a problem for each start.
const starts = [{ key: "typescript-2", data: cart }, { key: "typescript-3", data: { ...cart, magasin_id: 0 } }];
const batch = await sagas.POST("/api/v1/sagas/checkout/batch", { body: { starts } });
assert(batch.data);
const [good, bad] = batch.data.results;
assert.equal(good?.saga?.type, "checkout");
assert.equal(bad?.problem?.status, 400);

// What the compiler must refuse. Each line below it is an error without the comment.
// @ts-expect-error a text where a number belongs
const wrong: components["schemas"]["data.checkout"] = { client_id: "4", magasin_id: 1 };
// @ts-expect-error no such type of saga
void (() => sagas.POST("/api/v1/sagas/chekout", { body: cart }));
// @ts-expect-error a start of a batch needs a key
void (() => sagas.POST("/api/v1/sagas/checkout/batch", { body: { starts: [{ data: cart }] } }));
void wrong;

console.log("the TypeScript client works");
