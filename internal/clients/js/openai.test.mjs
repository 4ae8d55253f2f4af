// OpenAI's JavaScript client against gemma4 serve.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI, { toFile } from "openai";
import { capital, endless, heard, media, paris, running, seen, serve, spoken, triangle } from "./serve.mjs";

let server, client, long;
before(async () => {
  server = await serve();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  long = { ...ask("Go on."), max_tokens: 100_000, logit_bias: await endless(server.url) };
});
after(() => server?.stop());

const model = "nano";
const ask = (content) => ({ model, temperature: 0, messages: [{ role: "user", content }] });

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const tools = [
  { type: "function", function: { name: "multiply", parameters: object({ a: { type: "integer" }, b: { type: "integer" } }) } },
  { type: "function", function: { name: "get_weather", parameters: object({ city: { type: "string" } }) } },
];

test("models", async () => {
  const list = await client.models.list();
  assert.equal(list.data[0].object, "model");
  assert.ok(list.data[0].max_model_len > 0);
});

test("chat", async () => {
  const answer = await client.chat.completions.create(ask(capital));
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.choices[0].message.content, paris);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a picture", async () => {
  const url = `data:image/png;base64,${media(triangle).toString("base64")}`;
  const content = [{ type: "image_url", image_url: { url, detail: "low" } }, { type: "text", text: "What do you see?" }];
  const answer = await client.chat.completions.create(ask(content));
  assert.equal(answer.choices[0].message.content, seen);
  assert.ok(answer.usage.prompt_tokens_details.image_tokens > 0);
});

test("speech is written down", async () => {
  const file = () => toFile(media(spoken), spoken);
  const { text } = await client.audio.transcriptions.create({ file: await file(), model, instruction: "Transcribe." });
  assert.equal(text, heard);
  const srt = await client.audio.transcriptions.create({ file: await file(), model, instruction: "Transcribe.", response_format: "srt" });
  assert.match(srt, /^1\n00:00:00,000 --> 00:00:01,558\nWhat is the opposite of dry\?\n/);
});

test("streams say what whole answers do", async () => {
  const stream = await client.chat.completions.create({ ...ask(capital), stream: true, stream_options: { include_usage: true } });
  let text = "", reason, usage, roles = 0;
  for await (const chunk of stream) {
    usage ??= chunk.usage;
    if (chunk.choices.length === 0) continue;
    const { delta, finish_reason } = chunk.choices[0];
    if (delta.role) roles++;
    text += delta.content ?? "";
    reason ??= finish_reason;
  }
  assert.deepEqual([text, reason, roles], [paris, "stop", 1]);
  assert.ok(usage.completion_tokens > 0);
});

test("a call goes round", async () => {
  const messages = [{ role: "user", content: "What is 12 times 7? Use the tool." }];
  const first = await client.chat.completions.create({ model, temperature: 0, messages, tools });
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  const { message } = first.choices[0];
  assert.equal(message.content, null);
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { a: 12, b: 7 });
  messages.push(message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "84" });
  const second = await client.chat.completions.create({ model, temperature: 0, messages, tools });
  assert.match(second.choices[0].message.content, /84/);
});

test("two calls of one tool at once are told apart", async () => {
  const several = {
    ...ask("How is the weather in Oslo and in Rome?"), tools, max_tokens: 60, logit_bias: long.logit_bias,
    tool_choice: { type: "function", function: { name: "get_weather" } },
  };
  // An answer of calls alone that may not end has one after the other, until its tokens are spent.
  const { message } = (await client.chat.completions.create(several)).choices[0];
  const stream = await client.chat.completions.create({ ...several, stream: true });
  const streamed = [];
  for await (const { choices } of stream) {
    const calls = choices[0].delta.tool_calls ?? [];
    assert.ok(calls.length <= 1, "more than one call in a chunk");
    for (const { index, id, type, function: f } of calls) {
      if (index === streamed.length) {
        assert.ok(id && type === "function" && f.name && f.arguments === "");
        streamed.push({ name: f.name, arguments: "", id });
      } else {
        assert.equal(index, streamed.length - 1);
        assert.deepEqual([id, type, f.name], [undefined, undefined, undefined]);
        streamed[index].arguments += f.arguments;
      }
    }
  }
  const found = (await client.chat.completions.stream(several).finalMessage()).tool_calls;
  assert.ok(found.length >= 2, `${found.length} calls`);
  assert.equal(new Set(found.map((c) => c.id)).size, found.length);
  const said = (c) => [c.name ?? c.function.name, c.arguments ?? c.function.arguments];
  assert.deepEqual(streamed.map(said), message.tool_calls.map(said));
  assert.deepEqual(found.map(said), message.tool_calls.map(said));
  for (const call of found) {
    assert.equal(call.function.name, "get_weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
  }
});

test("json_schema", async () => {
  const schema = object({ name: { type: "string", maxLength: 20 }, age: { type: "integer", minimum: 0, maximum: 150 } });
  const answer = await client.chat.completions.create({
    ...ask("Anna is 31 years old."), response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
  });
  const person = JSON.parse(answer.choices[0].message.content);
  assert.deepEqual(Object.keys(person), ["name", "age"]);
});

test("logprobs", async () => {
  const answer = await client.chat.completions.create({ ...ask(capital), logprobs: true, top_logprobs: 3 });
  const { content } = answer.choices[0].logprobs;
  assert.equal(Buffer.from(content.flatMap((t) => t.bytes)).toString(), paris);
  for (const t of content) {
    assert.equal(t.top_logprobs.length, 3);
    assert.equal(t.top_logprobs[0].token, t.token);
  }
});

test("embeddings come as base64 and as numbers", async () => {
  const input = ["Paris", "Rome"];
  const packed = await client.embeddings.create({ model, input }); // the client asks for base64
  const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
  assert.equal(packed.data.length, 2);
  packed.data.forEach((d, i) => d.embedding.forEach((x, j) => assert.ok(Math.abs(x - plain.data[i].embedding[j]) < 1e-6)));
});

test("completions", async () => {
  const answer = await client.completions.create({ model, prompt: "The capital of France is", temperature: 0, max_tokens: 2 });
  assert.equal(answer.object, "text_completion");
  assert.equal(answer.choices[0].text, " Paris.");
});

test("a prompt that is too long", async () => {
  const call = client.chat.completions.create(ask("word ".repeat(40_000)));
  await assert.rejects(call, (e) => {
    assert.ok(e instanceof OpenAI.BadRequestError);
    assert.equal(e.code, "context_length_exceeded");
    assert.match(e.message, /maximum context length is \d+ tokens. However, your messages resulted in \d+ tokens/);
    return true;
  });
});

test("what is wrong is named", async () => {
  const call = client.chat.completions.create({ ...ask("x"), temperature: -1 });
  await assert.rejects(call, (e) => e.status === 400 && e.param === "temperature");
});

test("a stream that is left ends", async () => {
  const stream = await client.chat.completions.create({ ...long, stream: true });
  let n = 0;
  for await (const _ of stream) if (++n === 5) break;
  stream.controller.abort();
  const answer = await client.chat.completions.create(ask(capital)); // there is room for the next
  assert.equal(answer.choices[0].message.content, paris);
});

test("an answer that is called off", async () => {
  const off = new AbortController();
  const call = client.chat.completions.create(long, { signal: off.signal });
  setImmediate(() => off.abort());
  await assert.rejects(call, OpenAI.APIUserAbortError);
});

test("a wrong key", { skip: running && "the server runs already" }, async () => {
  const locked = await serve({ key: "secret" });
  try {
    const wrong = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(wrong.models.list(), (e) => e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
    const right = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: "secret", maxRetries: 0 });
    assert.equal((await right.models.list()).data.length, 1);
  } finally {
    await locked.stop();
  }
});

test("a queue that is full", { skip: running && "the server runs already" }, async () => {
  const small = await serve({ flags: ["-slots", "1", "-waiting", "0"] });
  try {
    const client = new OpenAI({ baseURL: `${small.url}/v1`, apiKey: "none", maxRetries: 0 });
    const asked = async () => {
      for (;;) { // until a stream has not ended by then
        for await (const chunk of await client.chat.completions.create({ ...long, stream: true })) {
          if (!chunk.choices[0].delta.content) continue;
          await client.chat.completions.create(ask(capital));
          break;
        }
      }
    };
    await assert.rejects(asked, (e) => {
      assert.ok(e instanceof OpenAI.RateLimitError);
      assert.equal(e.code, "queue_full");
      assert.ok(Number(e.headers.get("retry-after")) >= 1);
      return true;
    });
  } finally {
    await small.stop();
  }
});
