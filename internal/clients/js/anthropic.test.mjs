// Anthropic's JavaScript client against gemma4 serve.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { capital, endless, media, paris, running, seen, serve, triangle } from "./serve.mjs";

let server, client, bias;
before(async () => {
  server = await serve();
  client = new Anthropic({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
  bias = await endless(server.url);
});
after(() => server?.stop());

const ask = (content) => ({ model: "nano", max_tokens: 200, temperature: 0, messages: [{ role: "user", content }] });

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const tools = [
  { name: "multiply", input_schema: object({ a: { type: "integer" }, b: { type: "integer" } }) },
  { name: "get_weather", input_schema: object({ city: { type: "string" } }) },
];

test("a message", async () => {
  const answer = await client.messages.create(ask(capital));
  assert.match(answer.id, /^msg_/);
  assert.deepEqual(answer.content, [{ type: "text", text: paris }]);
  assert.equal(answer.stop_reason, "end_turn");
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
  assert.match(answer._request_id, /^req_/);
});

test("a picture", async () => {
  const source = { type: "base64", media_type: "image/png", data: media(triangle).toString("base64") };
  const answer = await client.messages.create(ask([{ type: "image", source, budget: 70 }, { type: "text", text: "What do you see?" }]));
  assert.deepEqual(answer.content, [{ type: "text", text: seen }]);
});

test("streams say what whole answers do", async () => {
  let said = "";
  const stream = client.messages.stream(ask(capital)).on("text", (text) => (said += text));
  const answer = await stream.finalMessage();
  const whole = await client.messages.create(ask(capital));
  assert.equal(said, paris);
  for (const field of ["content", "stop_reason", "stop_sequence"]) assert.deepEqual(answer[field], whole[field]);
  assert.equal(answer.usage.output_tokens, whole.usage.output_tokens);
});

test("events come one by one", async () => {
  const kinds = [];
  for await (const event of await client.messages.create({ ...ask(capital), stream: true })) {
    if (kinds.at(-1) !== event.type) kinds.push(event.type);
  }
  assert.deepEqual(kinds, ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]);
});

test("a call goes round", async () => {
  const request = { ...ask("What is 12 times 7? Use the tool."), tools };
  const first = await client.messages.stream(request).finalMessage();
  assert.equal(first.stop_reason, "tool_use");
  const [call] = first.content;
  assert.deepEqual([call.name, call.input], ["multiply", { a: 12, b: 7 }]);
  request.messages.push({ role: "assistant", content: first.content });
  request.messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "84" }] });
  const second = await client.messages.create(request);
  assert.match(second.content[0].text, /84/);
});

test("two calls of one tool at once are told apart", async () => {
  // An answer of calls alone that may not end has one after the other, until its tokens are spent.
  const several = { ...ask("How is the weather in Oslo and in Rome?"), tools, max_tokens: 60, tool_choice: { type: "tool", name: "get_weather" }, logit_bias: bias };
  const answer = await client.messages.stream(several).finalMessage();
  assert.ok(answer.content.length > 1, JSON.stringify(answer));
  assert.ok(answer.content.every((block) => block.type === "tool_use" && typeof block.input.city === "string"));
  assert.equal(new Set(answer.content.map((block) => block.id)).size, answer.content.length);
  const single = await client.messages.create({ ...several, tool_choice: { type: "any", disable_parallel_tool_use: true } });
  assert.equal(single.content.filter((block) => block.type === "tool_use").length, 1);
});

test("thoughts come apart, and are given back", async () => {
  const request = { ...ask(capital), max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
  let thought = "";
  const answer = await client.messages.stream(request).on("thinking", (text) => (thought += text)).finalMessage();
  assert.deepEqual(answer.content.map((block) => block.type), ["thinking", "text"]);
  assert.equal(answer.content[0].thinking, thought);
  assert.ok(answer.content[0].signature && answer.usage.output_tokens_details.thinking_tokens > 0);
  request.messages.push({ role: "assistant", content: answer.content }, { role: "user", content: "What is the capital of Italy?" });
  assert.equal((await client.messages.create(request)).stop_reason, "end_turn");
});

test("tokens are counted before they are read", async () => {
  const { max_tokens, temperature, ...request } = { ...ask(capital), system: "Be short.", tools };
  const { input_tokens } = await client.messages.countTokens(request);
  const { usage } = await client.messages.create({ ...request, max_tokens, temperature });
  assert.equal(usage.input_tokens + usage.cache_read_input_tokens, input_tokens);
});

test("stop sequences and bounds", async () => {
  const stopped = await client.messages.create({ ...ask(capital), stop_sequences: [" is"] });
  assert.deepEqual([stopped.stop_reason, stopped.stop_sequence, stopped.content[0].text], ["stop_sequence", " is", "The capital of France"]);
  assert.equal((await client.messages.create({ ...ask(capital), max_tokens: 2 })).stop_reason, "max_tokens");
});

test("an answer obeys a schema", async () => {
  const format = { type: "json_schema", schema: object({ city: { type: "string", maxLength: 20 }, large: { type: "boolean" } }) };
  const answer = await client.messages.parse({ ...ask(capital), output_config: { format } });
  const value = JSON.parse(answer.content[0].text);
  assert.deepEqual(Object.keys(value), ["city", "large"]);
});

test("errors are of their classes", async () => {
  const wrong = { ...ask(capital), max_tokens: 0 };
  await assert.rejects(client.messages.create(wrong), (e) => e instanceof Anthropic.BadRequestError && /max_tokens/.test(e.message) && /^req_/.test(e.requestID));
  const long = ask("word ".repeat(40_000));
  await assert.rejects(client.messages.create(long), /prompt is too long: \d+ tokens > \d+ maximum/);
  await assert.rejects(client.messages.stream(long).finalMessage(), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create({ ...ask([{ type: "image", source: { type: "base64", media_type: "image/png", data: "" } }]) }), /messages\[0\]\.content\[0\]/);
});

test("a wrong key is refused", { skip: running }, async () => {
  const own = await serve({ key: "secret" });
  try {
    const as = (options) => new Anthropic({ baseURL: own.url, maxRetries: 0, ...options }).messages.create(ask(capital));
    await assert.rejects(as({ apiKey: "wrong" }), Anthropic.AuthenticationError);
    assert.equal((await as({ apiKey: "secret" })).content[0].text, paris);
    assert.equal((await as({ apiKey: null, authToken: "secret" })).content[0].text, paris);
  } finally {
    await own.stop();
  }
});

test("a stream that is left ends", async () => {
  const stream = client.messages.stream({ ...ask("Go on."), max_tokens: 100_000, logit_bias: bias });
  await assert.rejects(async () => {
    for await (const event of stream) if (event.type === "content_block_delta") stream.abort();
    await stream.finalMessage();
  }, Anthropic.APIUserAbortError);
  assert.equal((await client.messages.create(ask(capital))).content[0].text, paris);
});
