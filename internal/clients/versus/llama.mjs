// Serves a model with llama.cpp, by node-llama-cpp, as OpenAI's completions do it: as much of them as a comparison needs.
//
//     node llama.mjs FILE PORT CONTEXT
//
// Eight texts at once, each of CONTEXT positions, in batches that node-llama-cpp puts together, and whatever else it does by default, but
// for the threads: one per core, where it would take four at least.
import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import { getLlama } from "node-llama-cpp";

const [file, port, positions] = process.argv.slice(2);
const threads = availableParallelism();
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ sequences: 8, contextSize: Number(positions), threads });
const free = Array.from({ length: 8 }, () => context.getSequence());

// complete writes what follows the tokens of a prompt, an event for each token, and how many there were.
async function complete({ prompt, max_tokens, temperature }, reply) {
  const sequence = free.pop();
  if (!sequence) return reply.writeHead(429).end();
  try {
    await sequence.clearHistory();
    reply.writeHead(200, { "Content-Type": "text/event-stream" });
    const tell = (event) => reply.write(`data: ${JSON.stringify(event)}\n\n`);
    let n = 0;
    for await (const token of sequence.evaluate(prompt, { temperature, yieldEogToken: true })) {
      if (reply.closed) return;
      tell({ choices: [{ index: 0, text: model.detokenize([token], true), finish_reason: null }] });
      if (++n === max_tokens) break;
    }
    tell({ choices: [], usage: { prompt_tokens: prompt.length, completion_tokens: n } });
    reply.end("data: [DONE]\n\n");
  } finally {
    free.push(sequence);
  }
}

createServer(async (request, reply) => {
  if (request.url === "/health") return reply.end();
  let body = "";
  for await (const part of request) body += part;
  await complete(JSON.parse(body), reply);
}).listen(Number(port), "127.0.0.1");
