// Vercel's AI SDK, by way of its provider for servers that speak OpenAI's protocol, against gemma4 serve.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { capital, media, paris, seen, serve, triangle } from "./serve.mjs";

let server, model, provider;
before(async () => {
  server = await serve();
  provider = createOpenAICompatible({ name: "gemma4", baseURL: `${server.url}/v1`, includeUsage: true, supportsStructuredOutputs: true });
  model = provider("nano");
});
after(() => server?.stop());

const multiply = tool({
  inputSchema: z.object({ a: z.number().int(), b: z.number().int() }),
  execute: async ({ a, b }) => a * b,
});

test("chat", async () => {
  const { text, finishReason, usage } = await generateText({ model, temperature: 0, prompt: capital });
  assert.deepEqual([text, finishReason], [paris, "stop"]);
  assert.ok(usage.totalTokens > 0);
});

test("a picture", async () => {
  const file = { type: "image", image: media(triangle), providerOptions: { openaiCompatible: { budget: 70 } } };
  const { text } = await generateText({
    model, temperature: 0, messages: [{ role: "user", content: [file, { type: "text", text: "What do you see?" }] }],
  });
  assert.equal(text, seen);
});

test("streams", async () => {
  const result = streamText({ model, temperature: 0, prompt: capital });
  let text = "";
  for await (const piece of result.textStream) text += piece;
  assert.equal(text, paris);
  assert.equal(await result.finishReason, "stop");
  assert.ok((await result.usage).outputTokens > 0);
});

test("a tool is called, and its result read, in a stream", async () => {
  const result = streamText({
    model, temperature: 0, prompt: "What is 12 times 7? Use the tool.", tools: { multiply }, stopWhen: stepCountIs(3),
    onError: ({ error }) => { throw error; },
  });
  const text = await result.text;
  const steps = await result.steps;
  assert.deepEqual(steps[0].toolCalls.map((c) => [c.toolName, c.input]), [["multiply", { a: 12, b: 7 }]]);
  assert.match(text, /84/);
});

test("an object by a schema", async () => {
  const { object } = await generateObject({
    model, temperature: 0, prompt: "Anna is 31 years old.", schema: z.object({ name: z.string().max(20), age: z.number().int().min(0).max(150) }),
  });
  assert.deepEqual(Object.keys(object), ["name", "age"]);
});

test("thoughts are reasoning", async () => {
  const result = streamText({ model, temperature: 0, prompt: "What is 2 + 3?", providerOptions: { gemma4: { reasoningEffort: "high" } } });
  let thought = "", text = "";
  for await (const part of result.fullStream) {
    if (part.type === "reasoning-delta") thought += part.text;
    if (part.type === "text-delta") text += part.text;
  }
  assert.ok(thought.length > 0, "no thought");
  assert.match(text, /5/);
});

test("embeddings", async () => {
  const { embeddings } = await embedMany({ model: provider.embeddingModel("nano"), values: ["Paris", "Rome"] });
  assert.equal(embeddings.length, 2);
  assert.equal(embeddings[0].length, embeddings[1].length);
});

test("errors", async () => {
  const long = generateText({ model, prompt: "word ".repeat(40_000), maxRetries: 0 });
  await assert.rejects(long, (e) => e.statusCode === 400 && e.data.error.code === "context_length_exceeded");
});

test("an answer that is called off", async () => {
  const off = new AbortController();
  const call = generateText({ model, prompt: "Go on.", maxOutputTokens: 100_000, abortSignal: off.signal, maxRetries: 0 });
  setImmediate(() => off.abort());
  await assert.rejects(call, (e) => e.name === "AbortError");
});
