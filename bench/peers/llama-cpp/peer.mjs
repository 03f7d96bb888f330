// llama.cpp through node-llama-cpp as a peer: loads one GGUF, runs a list of measurements, prints one JSON line for each.
// Own process, own package: `npm ci` here first. Called by `npm run bench -- --vs llama.cpp`; by hand:
//   node peer.mjs '{"model":"x.gguf","threads":2,"context":4096,"plan":[{"kind":"prefill","tokens":512}]}'
// Kinds: start (first token after a 16-token prompt) · prefill {tokens} · decode {after, tokens} · batch {sequences, tokens}.
// A prompt of `after` tokens can be kept in `state` (a file) and is restored from there when it exists.
import { existsSync, readFileSync } from 'node:fs';
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
const sampler = setInterval(() => {
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
    await sequence.evaluateWithoutGeneratingNewTokens(prompt(item.tokens));
    const ms = performance.now() - begin;
    print({ kind: 'prefill', tokens: item.tokens, ms, tokens_per_second: (item.tokens * 1000) / ms });
    free(sequence);
  } else if (item.kind === 'decode') {
    const sequence = context.getSequence();
    const ids = prompt(item.after);
    if (item.state && existsSync(item.state)) {
      await sequence.loadStateFromFile(item.state, { acceptRisk: true });
    } else {
      await sequence.evaluateWithoutGeneratingNewTokens(ids.slice(0, -1));
      if (item.state) await sequence.saveStateToFile(item.state);
    }
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
