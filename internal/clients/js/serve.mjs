// Starts `gemma4 serve` with the model nano on a free port of this machine, for scripts that ask it.
//
// GEMMA4 names the program; without, it is built. GEMMA4_URL is the address of a server that runs already: what needs flags is skipped.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const running = process.env.GEMMA4_URL;

let built;

// program returns the path of gemma4.
export function program() {
  if (process.env.GEMMA4) return process.env.GEMMA4;
  if (!built) {
    const folder = mkdtempSync(join(tmpdir(), "gemma4-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    built = join(folder, "gemma4");
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    const go = spawnSync("go", ["build", "-o", built, "./cmd/gemma4"], { cwd: root, stdio: "inherit", env: { ...process.env, CGO_ENABLED: "0" } });
    if (go.status !== 0) throw new Error("go build has failed");
  }
  return built;
}

// serve starts a server and returns its address and what ends it. A key that is given has to be brought.
export async function serve({ flags = [], key } = {}) {
  if (running && flags.length === 0 && !key) return { url: running.replace(/\/$/, ""), stop: async () => {} };
  const env = { ...process.env };
  delete env.GEMMA4_KEY;
  if (key) env.GEMMA4_KEY = key;
  const child = spawn(program(), ["serve", "-addr", "127.0.0.1:0", "-log", "none", ...flags], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let said = "";
  const url = await new Promise((resolve, reject) => {
    for (const out of [child.stdout, child.stderr]) {
      out.on("data", (text) => {
        said += text;
        const at = said.match(/^listening at (.*)\n/m);
        if (at) resolve(at[1]);
      });
    }
    child.once("error", reject);
    ended.then(() => reject(new Error(`gemma4 serve has ended: ${said}`)));
  });
  return {
    url,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

// media returns a file that comes with nano: a picture of a blue triangle, and a question that somebody speaks.
export const media = (name) => readFileSync(new URL(`../../../nano/testdata/media/${name}`, import.meta.url));
export const triangle = "picture-4.png", seen = "A blue triangle.", spoken = "sound-1.wav", heard = "What is the opposite of dry?";

export const capital = "What is the capital of France?";
export const paris = "The capital of France is Paris.";

// endless returns the bias of logits under which no answer ends, unless a grammar or a bound does it.
export async function endless(url) {
  const bias = {};
  for (const content of ["<turn|>", "<eos>", "<|tool_response>"]) {
    const reply = await fetch(`${url}/tokenize`, { method: "POST", body: JSON.stringify({ content, parse_special: true }) });
    const { tokens } = await reply.json();
    if (tokens.length === 1) bias[tokens[0]] = -100;
  }
  return bias;
}
