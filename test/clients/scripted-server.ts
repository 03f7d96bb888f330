// The server on loopback with a scripted model: sockets, dialects, rendering, pages, sampler and parser are the real ones,
// with gpt-oss's own vocabulary; only what the model says is written beforehand. Keeps what agents asked and what was
// logged. Next: agents.test.ts.

import { createApp } from '../../src/server/app.ts';
import { listen } from '../../src/server/listen.node.ts';
import { type Script, scripted } from '../../src/server/scripted.testing.ts';
import type { Log } from '../../src/server/serving.ts';
import { HarmonyEncoding } from '../../src/text/harmony/encoding.ts';
import { o200kHarmony } from '../../src/text/o200k-harmony.node.ts';

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ScriptedServer {
  readonly url: string;
  readonly apiKey: string;
  /** As rendered, markers by name. */
  readonly prompts: readonly string[];
  readonly lines: readonly LogLine[];
  /** Sequences that are computed now. */
  running(): number;
  stop(): Promise<void>;
}

export async function startScripted(script: Script): Promise<ScriptedServer> {
  const tokenizer = o200kHarmony();
  const tokens = { tokenizer, encoding: new HarmonyEncoding(tokenizer) };
  const model = scripted(script, { context: 131_072, chunkRows: 128 }, undefined, tokens);
  const lines: LogLine[] = [];
  const line =
    (level: LogLine['level']): Log['info'] =>
    (fields, message) =>
      void lines.push({ level, message, fields });
  const apiKey = 'key-of-this-test';
  const app = createApp({
    model,
    aliases: ['gpt-oss-20b'],
    apiKeys: [apiKey],
    log: { info: line('info'), warn: line('warn'), error: line('error') },
  });
  const listening = await listen(app, { host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${listening.port}`,
    apiKey,
    get prompts() {
      return model.prompts;
    },
    lines,
    running: () => model.engine.stats().running,
    stop: async () => {
      await listening.stop(0);
      model.engine.audit();
      await model.engine.close();
    },
  };
}
