// Measures gemma4 serve beside llama.cpp (node-llama-cpp, behind llama.mjs) on the same file, and prints a Markdown table.
//
//     node versus.mjs [--rounds 7] [--tokens 48] [--long 4096] FILE
//
// Both answer to this script over HTTP, greedily, prompts of random tokens that are never asked twice. In each round either of them writes
// one stream, then eight, then one while it reads a long prompt and others ask short things; the other one idles. A read loop over memory
// is measured beside each round. The figures are medians of the rounds, and so are the ratios.
import { execFile, spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { endless, program, serve } from "../js/serve.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    tokens: { type: "string", default: "48" },
    long: { type: "string", default: "4096" },
  },
});
const [rounds, tokens, long] = [values.rounds, values.tokens, values.long].map(Number);
if (positionals.length !== 1 || ![rounds, tokens, long].every((n) => Number.isInteger(n) && n > 1)) {
  console.error("usage: node versus.mjs [--rounds N] [--tokens N] [--long N] FILE");
  process.exit(2);
}
const file = positionals[0];
const short = 16;
const positions = long + 1024; // of each text: a stream goes on for as long as the prompt is read

// freePort returns a port that nothing listens on.
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// llama starts llama.mjs and returns its address and what ends it.
async function llama() {
  const port = await freePort();
  const script = fileURLToPath(new URL("llama.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, file, port, positions], { stdio: ["ignore", "ignore", "inherit"] });
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/health`).catch(() => undefined))) {
    if (child.exitCode !== null) throw new Error("llama.mjs has ended");
    await sleep(100);
  }
  return { url, stop: () => child.kill() };
}

let asked = 0, vocabulary, ends;

// prompt returns as many tokens as it is told, of which all but the first, <bos>, were in no prompt before.
function prompt(n) {
  const any = () => Math.floor(vocabulary / 4) + ((asked++ * 7919) % Math.floor(vocabulary / 2)); // far from the special ones
  return [2, ...Array.from({ length: n - 1 }, any)];
}

// complete asks for tokens that follow a prompt of n, and returns when it asked and when each came, in ms. See may look at each.
async function complete(url, n, max_tokens, { signal, see } = {}) {
  const body = { prompt: prompt(n), max_tokens, temperature: 0, logit_bias: ends, stream: true, stream_options: { include_usage: true } };
  const answer = { asked: performance.now(), came: [] };
  const reply = await fetch(`${url}/v1/completions`, { method: "POST", body: JSON.stringify(body), signal });
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
  let rest = "", written;
  for await (const part of reply.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + part).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: {")) continue; // the end, and what keeps connections alive
      const { choices, usage, error } = JSON.parse(event.slice("data: ".length));
      if (error) throw new Error(`${url}: ${error.message}`);
      if (choices[0]?.text) {
        answer.came.push(performance.now());
        see?.(answer);
      }
      written = usage?.completion_tokens ?? written;
    }
  }
  if (written !== max_tokens) throw new Error(`${url}: ${written} tokens, expected ${max_tokens}`);
  return answer;
}

// streams returns the tokens per second of n streams together, from the first token of any to the last.
async function streams(url, n) {
  const all = await Promise.all(Array.from({ length: n }, () => complete(url, short, tokens)));
  const from = Math.min(...all.map((a) => a.came[0])), to = Math.max(...all.map((a) => a.came.at(-1)));
  return (1000 * n * (tokens - 1)) / (to - from);
}

// alone returns the ms until the first token of a short prompt.
async function alone(url) {
  const a = await complete(url, short, 1);
  return a.came[0] - a.asked;
}

// crowded lets a stream run, a long prompt arrive, and short ones while that is read.
async function crowded(url) {
  const over = new AbortController();
  const running = await new Promise((begun, failed) => {
    const see = (answer) => answer.came.length === 4 && begun(answer);
    complete(url, short, positions - short, { signal: over.signal, see }).then(
      () => failed(new Error(`${url}: the stream has ended before the prompt was read`)),
      (e) => over.signal.aborted || failed(e),
    );
  });
  let read;
  const from = performance.now();
  const reading = complete(url, long, 1).then((a) => (read = a.came[0]));
  const waits = [];
  for (await sleep(200); !read; await sleep(100)) waits.push(await alone(url));
  await reading;
  over.abort();
  if (waits.length === 0) throw new Error(`${url}: a prompt of ${long} tokens was read before anybody could ask: --long is too short`);
  const came = running.came.filter((t) => from < t && t < read);
  const seconds = (read - from) / 1000;
  const pauses = [...came, read].map((t, i) => t - (came[i - 1] ?? from));
  return { wait: median(waits), stream: came.length / seconds, pause: Math.max(...pauses), prompt: long / seconds };
}

// round measures everything once.
async function round(url) {
  const one = await streams(url, 1), eight = await streams(url, 8), first = await alone(url);
  return { one, eight, first, ...(await crowded(url)) };
}

const rows = {
  one: "one stream, tokens/s",
  eight: "eight streams, tokens/s",
  first: "first token of a short prompt, ms",
  wait: `the same while ${long} tokens are read, ms`,
  stream: "a stream meanwhile, tokens/s",
  pause: "its longest pause, ms",
  prompt: "the long prompt meanwhile, tokens/s",
};

// bandwidth returns what a plain loop reads, in GB/s.
async function bandwidth() {
  const bench = await promisify(execFile)(program(), ["bench", "-m", file, "-p", "0", "-n", "2", "-r", "3", "-json"]);
  return JSON.parse(bench.stdout)[0].roofline_gbps;
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b), half = sorted.length / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half) - 1]) / 2;
}

const shown = (x) => x.toFixed(x < 100 ? 1 : 0);

const both = {};
try {
  both.gemma4 = await serve({ flags: ["-m", file, "-ctx", String(positions)] });
  both.llama = await llama();
  const models = await (await fetch(`${both.gemma4.url}/v1/models`)).json();
  vocabulary = models.data[0].meta.n_vocab;
  ends = await endless(both.gemma4.url); // llama.mjs goes on behind them without
  const found = { gemma4: [], llama: [] }, loops = [];
  for (let i = 0; i <= rounds; i++) {
    const loop = await bandwidth();
    const names = i % 2 ? ["gemma4", "llama"] : ["llama", "gemma4"];
    for (const name of names) {
      const figures = await round(both[name].url);
      if (i > 0) found[name].push(figures); // in the first, pages and buffers come in
      console.error(i, name, JSON.stringify(figures, (_, v) => (typeof v === "number" ? Number(v.toPrecision(3)) : v)));
    }
    if (i > 0) loops.push(loop);
  }
  console.log("| | gemma4 | llama.cpp | ratio |\n|---|---|---|---|");
  for (const [key, title] of Object.entries(rows)) {
    const ours = found.gemma4.map((r) => r[key]), theirs = found.llama.map((r) => r[key]);
    const ratio = median(ours.map((x, i) => x / theirs[i]));
    console.log(`| ${title} | ${shown(median(ours))} | ${shown(median(theirs))} | ${ratio.toFixed(2)} × |`);
  }
  console.log(`\nread loop: ${Math.min(...loops).toFixed(0)} to ${Math.max(...loops).toFixed(0)} GB/s, ${rounds} rounds`);
} finally {
  for (const { stop } of Object.values(both)) await stop();
}
