// ollama's JavaScript client against gemma4 serve.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ollama } from "ollama";
import { capital, endless, media, paris, running, seen, serve, triangle } from "./serve.mjs";

let server, client, long;
before(async () => {
  server = await serve();
  client = new Ollama({ host: server.url });
  long = { ...ask("Go on."), stream: true, options: { num_predict: -1, logit_bias: await endless(server.url) } };
});
after(() => server?.stop());

const model = "nano";
const ask = (content) => ({ model, options: { temperature: 0 }, messages: [{ role: "user", content }] });

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const tools = [
  { type: "function", function: { name: "multiply", parameters: object({ a: { type: "integer" }, b: { type: "integer" } }) } },
  { type: "function", function: { name: "get_weather", parameters: object({ city: { type: "string" } }) } },
];

// ended checks what the end of an answer tells: counts, and times in nanoseconds.
function ended(line, reason = "stop") {
  assert.deepEqual([line.done, line.done_reason], [true, reason]);
  for (const field of ["prompt_eval_count", "eval_count", "total_duration", "prompt_eval_duration"]) {
    assert.ok(Number.isInteger(line[field]) && line[field] > 0, `${field} is ${line[field]}`);
  }
}

test("the model is listed, shown and running", async () => {
  const { models } = await client.list();
  assert.equal(models.length, 1);
  assert.equal(models[0].details.family, "gemma4");
  const shown = await client.show({ model: models[0].name });
  const context = shown.model_info["gemma4.context_length"];
  assert.ok(context > 0);
  assert.deepEqual([...shown.capabilities].sort(), ["completion", "tools", "thinking", "vision", "audio"].sort());
  const [loaded] = (await client.ps()).models;
  assert.deepEqual([loaded.name, loaded.context_length], [models[0].name, context]);
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
});

test("chat", async () => {
  const answer = await client.chat(ask(capital));
  assert.deepEqual([answer.message.role, answer.message.content], ["assistant", paris]);
  ended(answer);
  ended(await client.chat({ ...ask(capital), options: { temperature: 0, num_predict: 2 } }), "length");
});

test("a picture", async () => {
  const images = [media(triangle)];
  const messages = [{ role: "user", content: "What do you see?", images, budget: 70 }];
  const answer = await client.chat({ model, options: { temperature: 0 }, messages });
  assert.equal(answer.message.content, seen);
});

test("streams say what whole answers do", async () => {
  let text = "", last;
  for await (const line of await client.chat({ ...ask(capital), stream: true, keep_alive: -1 })) {
    text += line.message.content;
    last = line;
  }
  assert.equal(text, paris);
  ended(last);
});

test("a call goes round, whether its result is named or not", async () => {
  const request = { ...ask("What is 12 times 7? Use the tool."), tools };
  const { message } = await client.chat(request);
  assert.equal(message.tool_calls.length, 1);
  assert.deepEqual([message.tool_calls[0].function.name, message.tool_calls[0].function.arguments], ["multiply", { a: 12, b: 7 }]);
  const streamed = [];
  for await (const line of await client.chat({ ...request, stream: true })) streamed.push(...(line.message.tool_calls ?? []));
  assert.deepEqual(streamed.map((c) => c.function), message.tool_calls.map((c) => c.function));
  const results = [];
  for (const named of [{ tool_name: "multiply" }, {}]) {
    const messages = [...request.messages, message, { role: "tool", content: "84", ...named }];
    results.push((await client.chat({ ...request, messages })).message.content);
  }
  assert.match(results[0], /84/);
  assert.equal(results[1], results[0]);
});

test("an answer obeys a format, with thoughts and without", async () => {
  const format = object({ name: { type: "string", maxLength: 20 }, age: { type: "integer", minimum: 0, maximum: 150 } });
  for (const think of [false, true]) {
    const { message } = await client.chat({ ...ask("Anna is 31 years old."), format, think });
    assert.deepEqual(Object.keys(JSON.parse(message.content)), ["name", "age"]);
    assert.equal(!!message.thinking, think);
  }
  const { message } = await client.chat({ ...ask("Anna is 31 years old."), format: "json", options: { temperature: 0, num_predict: 60 } });
  assert.equal(typeof JSON.parse(message.content), "object");
});

test("thoughts come apart", async () => {
  const whole = await client.chat({ ...ask(capital), think: "low" });
  assert.ok(whole.message.thinking);
  let thought = "", text = "";
  for await (const { message } of await client.chat({ ...ask(capital), think: true, stream: true })) {
    assert.ok(!message.thinking || text === "", "a thought behind the answer");
    thought += message.thinking ?? "";
    text += message.content;
  }
  assert.deepEqual([thought, text], [whole.message.thinking, whole.message.content]);
  assert.equal((await client.chat({ ...ask(capital), think: false })).message.thinking, undefined);
});

test("embed", async () => {
  const { embeddings, prompt_eval_count } = await client.embed({ model, input: ["Paris", "Rome"] });
  assert.equal(embeddings.length, 2);
  assert.ok(prompt_eval_count >= 2);
  for (const vector of embeddings) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
  const one = await client.embed({ model, input: "Rome", dimensions: 8 });
  assert.equal(one.embeddings[0].length, 8);
  const { embedding } = await client.embeddings({ model, prompt: "Paris" });
  assert.deepEqual(embedding, embeddings[0]);
});

test("generate", async () => {
  const question = { model, prompt: capital, options: { temperature: 0 } };
  const answer = await client.generate({ ...question, system: "Be brief." });
  assert.ok(answer.response);
  ended(answer);
  let text = "";
  for await (const line of await client.generate({ ...question, stream: true })) text += line.response;
  assert.equal(text, paris);
  const raw = await client.generate({ ...question, prompt: "The capital of France is", raw: true, options: { temperature: 0, num_predict: 2 } });
  assert.equal(raw.response, " Paris.");
  const loaded = await client.generate({ model, prompt: "", keep_alive: "5m" });
  assert.deepEqual([loaded.response, loaded.done_reason], ["", "load"]);
});

test("stops and seeds", async () => {
  const stopped = await client.chat({ ...ask(capital), options: { temperature: 0, stop: [" is"] } });
  assert.equal(stopped.message.content, "The capital of France");
  const drawn = { ...ask("Go on."), options: { temperature: 1.5, seed: 7, num_predict: 20 } };
  assert.equal((await client.chat(drawn)).message.content, (await client.chat(drawn)).message.content);
});

test("a stream that is left ends", async () => {
  for (const leave of [(stream) => stream.abort(), () => client.abort()]) {
    await assert.rejects(async () => {
      const stream = await client.chat(long);
      let n = 0;
      for await (const _ of stream) if (++n === 5) leave(stream);
    }, { name: "AbortError" });
  }
  assert.equal((await client.chat(ask(capital))).message.content, paris); // there is room for the next
});

test("what is wrong is told", async () => {
  const wrong = (status, message) => ({ name: "ResponseError", status_code: status, message });
  await assert.rejects(client.chat({ ...ask("x"), options: { temperature: -1 } }), wrong(400, /options\.temperature/));
  await assert.rejects(client.chat({ ...ask("x"), options: { num_ctx: 10_000_000 } }), wrong(400, /options\.num_ctx is 10000000, this server has a context of \d+/));
  await assert.rejects(client.chat({ ...ask("x"), stream: true, format: "yaml" }), wrong(400, /format/));
  await assert.rejects(client.chat(ask("word ".repeat(40_000))), wrong(400, /context length/));
  await assert.rejects(client.chat({ model, messages: [{ role: "user", content: "x", images: ["AAAA"] }] }), wrong(400, /messages\[0\]\.images/));
  await assert.rejects(client.pull({ model: "other" }), wrong(501, /this server runs/));
  await assert.rejects(client.delete({ model }), wrong(501, /this server runs/));
});

test("a wrong key", { skip: running && "the server runs already" }, async () => {
  const locked = await serve({ key: "secret" });
  try {
    const as = (key) => new Ollama({ host: locked.url, headers: { Authorization: `Bearer ${key}` } });
    await assert.rejects(as("wrong").list(), { status_code: 401 });
    assert.equal((await as("secret").list()).models.length, 1);
  } finally {
    await locked.stop();
  }
});
