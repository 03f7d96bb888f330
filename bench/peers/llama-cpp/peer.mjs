// llama.cpp through node-llama-cpp as a peer: loads one GGUF, runs a list of measurements, prints one JSON line for each.
// Own process, own package: `npm ci` here first. Called by `npm run bench -- --vs llama.cpp`; by hand:
//   node peer.mjs '{"model":"x.gguf","threads":2,"context":4096,"plan":[{"kind":"prefill","tokens":512}]}'
// Kinds: start (first token after a 16-token prompt) · prefill {tokens} · decode {after, tokens} · batch {sequences, tokens}.
// Prompts of items with `state` ("FOLDER/NAME-", to which the number of tokens is added) are kept on disk every 4,096 tokens
// and go on from the longest that lies there: a long one survives interruptions, and one begins with another's.
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { performance } from 'node:perf_hooks';

const spec = JSON.parse(process.argv[2] ?? '{}');
const processStart = performance.timeOrigin;
const { getLlama } = await import('node-llama-cpp');

function anonymousBytes() {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const kib = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return (kib('RssAnon') + kib('RssShmem')) * 1024;
  } catch {
    return null;
  }
}
let peak = 0;
const parent = process.ppid;
const sampler = setInterval(() => {
  if (process.ppid !== parent) process.exit(1); // whoever asked is gone: no hour of both cores for nobody
  peak = Math.max(peak, anonymousBytes() ?? 0);
}, 50);
const print = (row) =>
  process.stdout.write(`${JSON.stringify({ ...row, memory_bytes: Math.max(peak, anonymousBytes() ?? 0) })}\n`);

const llama = await getLlama({ gpu: false, build: 'never', maxThreads: spec.threads, logLevel: 'disabled' });
const model = await llama.loadModel({ modelPath: spec.model });
const sequences = Math.max(1, ...spec.plan.map((p) => p.sequences ?? 1));
const context = await model.createContext({
  contextSize: spec.context ?? 4096,
  batchSize: spec.batch ?? 512,
  threads: spec.threads,
  flashAttention: true,
  sequences,
});
const loadMs = performance.now();
const variant = (() => {
  try {
    return [...new Set(readFileSync('/proc/self/maps', 'utf8').match(/libggml-cpu-[a-z0-9]+\.so/g) ?? [])].join(' ');
  } catch {
    return 'unknown';
  }
})();
print({
  kind: 'load',
  ms: loadMs,
  variant,
  system: llama.systemInfo,
  threads: context.currentThreads,
  process_start: processStart,
});

// Ids from a fixed generator, away from special tokens: the same text for both sides.
function prompt(count, seed = 1) {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1000 + (state % 100000);
  });
}
const free = (s) => s.dispose();

const KEPT_EVERY = 4096;
const pathOf = (state, tokens) => `${state}${tokens}.state`;
/** Prompt lengths that lie on disk, ascending. A state of N tokens has read all but the last of them. */
function keptLengths(state) {
  return readdirSync(dirname(state))
    .filter((name) => name.startsWith(basename(state)) && name.endsWith('.state'))
    .map((name) => Number(name.slice(basename(state).length, -'.state'.length)))
    .filter(Number.isInteger)
    .sort((a, b) => a - b);
}
async function keep(sequence, state, tokens) {
  await sequence.saveStateToFile(`${state}part`);
  renameSync(`${state}part`, pathOf(state, tokens));
}
/** Reads all of the prompt but its last token. */
async function readPrompt(sequence, ids, state) {
  let done = 0;
  if (state !== undefined) {
    const longest = keptLengths(state).findLast((n) => n <= ids.length);
    if (longest !== undefined) {
      await sequence.loadStateFromFile(pathOf(state, longest), { acceptRisk: true });
      done = longest;
    }
  }
  while (done < ids.length) {
    const to =
      state === undefined ? ids.length : Math.min(ids.length, (Math.floor(done / KEPT_EVERY) + 1) * KEPT_EVERY);
    await sequence.evaluateWithoutGeneratingNewTokens(ids.slice(Math.max(0, done - 1), to - 1));
    if (state !== undefined) {
      await keep(sequence, state, to);
      // Those on the way are of no more use; a whole prompt is, for the next item.
      if (done > 0 && !wholePrompts.includes(done)) rmSync(pathOf(state, done), { force: true });
    }
    done = to;
  }
}
const wholePrompts = spec.plan.map((item) => item.after ?? item.tokens);
async function generate(sequence, tokens, count) {
  const times = [];
  let last = performance.now();
  for await (const _ of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    const now = performance.now();
    times.push(now - last);
    last = now;
    if (times.length >= count) break;
  }
  return times;
}

for (const item of spec.plan) {
  if (item.kind === 'start') {
    const sequence = context.getSequence();
    await generate(sequence, prompt(16), 1);
    print({ kind: 'start', ms: performance.now() });
    free(sequence);
  } else if (item.kind === 'prefill') {
    const sequence = context.getSequence();
    const begin = performance.now();
    // With a state the last token is left to the decode that goes on from there.
    await sequence.evaluateWithoutGeneratingNewTokens(prompt(item.tokens).slice(0, item.state ? -1 : undefined));
    const ms = performance.now() - begin;
    if (item.state) await keep(sequence, item.state, item.tokens);
    print({ kind: 'prefill', tokens: item.tokens, ms, tokens_per_second: (item.tokens * 1000) / ms });
    free(sequence);
  } else if (item.kind === 'decode') {
    const sequence = context.getSequence();
    const ids = prompt(item.after);
    await readPrompt(sequence, ids, item.state);
    const times = await generate(sequence, ids.slice(-1), item.tokens + 1);
    const ms = times.slice(1).reduce((a, b) => a + b, 0);
    print({
      kind: 'decode',
      after: item.after,
      tokens: times.length - 1,
      ms,
      tokens_per_second: ((times.length - 1) * 1000) / ms,
    });
    free(sequence);
  } else if (item.kind === 'batch') {
    const all = Array.from({ length: item.sequences }, () => context.getSequence());
    await Promise.all(all.map((s, i) => s.evaluateWithoutGeneratingNewTokens(prompt(15, i + 2))));
    const begin = performance.now();
    const counts = await Promise.all(all.map((s, i) => generate(s, prompt(16, i + 2).slice(-1), item.tokens)));
    const ms = performance.now() - begin;
    const tokens = counts.reduce((a, b) => a + b.length, 0);
    print({ kind: 'batch', sequences: item.sequences, tokens, ms, tokens_per_second: (tokens * 1000) / ms });
    for (const s of all) free(s);
  }
}
clearInterval(sampler);
await context.dispose();
await model.dispose();
process.exit(0);
