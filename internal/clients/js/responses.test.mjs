// The responses of OpenAI's JavaScript client, as Codex CLI asks for them, against gemma4 serve.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { capital, endless, paris, serve } from "./serve.mjs";

let server, client, bias;
before(async () => {
  server = await serve();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  bias = await endless(server.url);
});
after(() => server?.stop());

const ask = (input) => ({ model: "nano", temperature: 0, store: false, input });

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const tools = [
  { type: "function", name: "multiply", strict: true, parameters: object({ a: { type: "integer" }, b: { type: "integer" } }) },
  { type: "function", name: "get_weather", strict: true, parameters: object({ city: { type: "string" } }) },
  { type: "web_search" },
];

test("a response", async () => {
  const answer = await client.responses.create(ask(capital));
  assert.equal(answer.output_text, paris);
  assert.equal(answer.status, "completed");
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
  assert.equal(typeof answer.usage.input_tokens_details.cached_tokens, "number");
});

test("streams say what whole answers do", async () => {
  let said = "";
  const stream = client.responses.stream({ ...ask(capital), reasoning: { effort: "low" } });
  stream.on("response.output_text.delta", (event) => (said += event.delta));
  const answer = await stream.finalResponse();
  assert.equal(said, paris);
  assert.equal(answer.output_text, paris);
  assert.deepEqual(answer.output.map((item) => item.type), ["reasoning", "message"]);
  const numbers = [];
  for await (const event of await client.responses.create({ ...ask(capital), stream: true })) numbers.push(event.sequence_number);
  assert.deepEqual(numbers, numbers.map((_, i) => i));
});

test("a call goes round, with its thought", async () => {
  const input = [{ role: "user", content: "What is 12 times 7? Use the tool." }];
  const first = await client.responses.stream({ ...ask(input), tools }).finalResponse();
  const call = first.output.find((item) => item.type === "function_call");
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["multiply", { a: 12, b: 7 }]);
  input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "84" });
  const second = await client.responses.create({ ...ask(input), tools });
  assert.match(second.output_text, /84/);

  const thinking = { ...ask(capital), reasoning: { effort: "low" }, include: ["reasoning.encrypted_content"] };
  const { output } = await client.responses.create(thinking);
  assert.ok(output[0].encrypted_content);
  const next = [{ role: "user", content: capital }, ...output, { role: "user", content: "What is the capital of Italy?" }];
  assert.equal((await client.responses.create({ ...thinking, input: next })).status, "completed");
});

test("two calls of one tool at once are told apart", async () => {
  // An answer of calls alone that may not end has one after the other, until its tokens are spent.
  const several = { ...ask("How is the weather in Oslo and in Rome?"), tools, max_output_tokens: 60, tool_choice: { type: "function", name: "get_weather" }, logit_bias: bias };
  const { output } = await client.responses.create(several);
  assert.ok(output.length > 1 && output.every((item) => item.name === "get_weather" && JSON.parse(item.arguments).city !== undefined), JSON.stringify(output));
  assert.equal(new Set(output.map((item) => item.call_id)).size, output.length);
  const single = await client.responses.create({ ...several, parallel_tool_calls: false });
  assert.equal(single.output.length, 1);
});

test("an answer obeys a schema", async () => {
  const format = zodTextFormat(z.object({ city: z.enum(["Paris", "Rome"]), large: z.boolean() }), "city");
  const answer = await client.responses.parse({ ...ask(capital), text: { format } });
  assert.deepEqual(Object.keys(answer.output_parsed), ["city", "large"]);
});

test("a response that is cut off says so", async () => {
  const answer = await client.responses.stream({ ...ask(capital), max_output_tokens: 2 }).finalResponse();
  assert.deepEqual([answer.status, answer.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
});

test("tokens are counted before they are read", async () => {
  const { input_tokens } = await client.responses.inputTokens.count({ model: "nano", input: capital });
  const { usage } = await client.responses.create(ask(capital));
  assert.equal(usage.input_tokens, input_tokens);
});

test("errors are of their classes", async () => {
  const wrong = { ...ask(capital), previous_response_id: "resp_1" };
  await assert.rejects(client.responses.create(wrong), (e) => e instanceof OpenAI.BadRequestError && e.param === "previous_response_id");
  await assert.rejects(client.responses.create(ask("word ".repeat(40_000))), (e) => e.code === "context_length_exceeded");
});

test("a stream that is left ends", async () => {
  const stream = await client.responses.create({ ...ask("Go on."), stream: true, logit_bias: bias });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  assert.equal((await client.responses.create(ask(capital))).output_text, paris);
});
