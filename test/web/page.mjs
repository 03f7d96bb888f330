// The page of the browser tests: puts the functions of core.mjs where the test can call them, and knows a worker.

import { answer, refusal } from '/test/core.mjs';
import { HarmonyEncoding, renderPrompt } from '/web/harmony.js';
import { o200kHarmonyFrom, o200kVocabulary } from '/web/tokenizer.js';

async function answerInWorker(question) {
  const worker = new Worker('/test/worker.mjs', { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(question);
    });
  } finally {
    worker.terminate();
  }
}

/** Prompt tokens of o200k_harmony, whose vocabulary is fetched from the package. */
async function promptTokens(text) {
  const packed = new Uint8Array(await (await fetch('/assets/o200k.bin')).arrayBuffer());
  const tokenizer = o200kHarmonyFrom(o200kVocabulary(packed));
  const encoding = new HarmonyEncoding(tokenizer);
  const tokens = [...renderPrompt(encoding, { messages: [{ role: 'user', content: text }] })];
  return { tokens, text: tokenizer.decode(tokens) };
}

globalThis.gptossTest = { answer, answerInWorker, refusal, promptTokens };
