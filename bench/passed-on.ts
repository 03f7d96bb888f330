// Owns: the comparison of a server with the bare engine. Both get the same rendered prompts, sample with the same settings,
// are held to the same grammar of headers and generate the same number of tokens on as many streams at once; what differs
// is everything between the engine's tokens and a client's socket. Refuses: to start servers. Next: http.ts.

import { Steerer } from '../src/agent/steering.ts';
import { maskOf } from '../src/agent/turn.ts';
import { open } from '../src/open.node.ts';
import { HarmonyMask } from '../src/text/harmony/mask.ts';
import { renderPrompt } from '../src/text/harmony/render.ts';

export interface PassedOnOptions {
  /** Of the model that the server has, too; absent: the embedded one. */
  readonly path?: string;
  readonly streams: number;
  /** Of each answer. */
  readonly tokens: number;
  /** The first two warm up and are not counted. */
  readonly rounds: number;
  /** Posts a body to /v1/chat/completions; gives the whole stream. */
  readonly ask: (body: string) => Promise<string>;
  /** Milliseconds of processor time that the server has used so far. */
  readonly serverTime?: () => number;
}

export interface PassedOn {
  readonly streams: number;
  readonly tokens: number;
  /** Tokens per second, [over HTTP, bare], round by round. */
  readonly rates: readonly (readonly [number, number])[];
  /** Median of HTTP / bare. */
  readonly ratio: number;
  /** Processor time of a token in microseconds, [server, bare]: says more where others use the machine, too. */
  readonly microseconds: readonly [number, number] | null;
}

export async function passedOn(options: PassedOnOptions): Promise<PassedOn> {
  const { path, streams, tokens, rounds, ask, serverTime } = options;
  const model = await open(path, { maxSequences: 64 });
  const { engine, encoding, tokenizer } = model;
  const steerer = new Steerer(encoding, tokenizer.vocabulary, engine.model.vocab);
  const { grammar } = await steerer.steer({});
  const stops = encoding.stopIds();
  const banned = Object.fromEntries(stops.map((id) => [id, -100])); // answers never end by themselves
  const question = (round: number, i: number): string => `What is ${round * streams + i} + ${(i * 7) % 900}?`;

  const overHttp = async (round: number): Promise<void> => {
    const body = (i: number): string =>
      JSON.stringify({
        messages: [{ role: 'user', content: question(round, i) }],
        ...{ stream: true, max_tokens: tokens, logit_bias: banned, seed: round * streams + i },
      });
    const answers = await Promise.all(Array.from({ length: streams }, (_, i) => ask(body(i))));
    for (const answer of answers) {
      if (!answer.includes('"finish_reason":"length"')) throw new Error(`an answer ended early: ${answer.slice(-400)}`);
    }
  };
  const bare = async (round: number): Promise<void> => {
    const read = async (i: number): Promise<void> => {
      const messages = [{ role: 'user', content: question(round, i) } as const];
      const prompt = renderPrompt(encoding, model.conversation(messages, { reasoning: 'medium' }));
      const mask = new HarmonyMask(grammar);
      const generation = engine.generate(prompt, {
        ...{ temperature: 1, seed: round * streams + i, maxTokens: tokens, stopIds: stops },
        logitBias: new Map(stops.map((id) => [id, -100])),
        constraints: [{ allowed: () => maskOf(mask.allowed()), accept: (id) => mask.push(id) }],
      });
      let count = 0;
      for await (const _ of generation) count++;
      if (count !== tokens) throw new Error(`${count} of ${tokens} tokens were generated`);
    };
    await Promise.all(Array.from({ length: streams }, (_, i) => read(i)));
  };
  const rate = async (run: (round: number) => Promise<void>, round: number): Promise<number> => {
    const start = performance.now();
    await run(round);
    return Math.round((streams * tokens * 10_000) / (performance.now() - start)) / 10;
  };

  const ownTime = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const rates: [number, number][] = [];
  const used: [number, number] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const times = [serverTime?.() ?? 0];
    const http = await rate(overHttp, round);
    times.push(serverTime?.() ?? 0, ownTime());
    const alone = await rate(bare, round);
    times.push(ownTime());
    if (round < 2) continue;
    rates.push([http, alone]);
    used[0] += times[1]! - times[0]!;
    used[1] += times[3]! - times[2]!;
  }
  await model.close();
  const ratios = rates.map(([http, engineAlone]) => http / engineAlone).sort((a, b) => a - b);
  const count = streams * tokens * rates.length;
  const [server, alone] = used.map((ms) => Math.round((ms * 1000) / count));
  return {
    ...{ streams, tokens, rates, ratio: Math.round((ratios[ratios.length >> 1] ?? 0) * 1000) / 1000 },
    microseconds: serverTime === undefined ? null : [server!, alone!],
  };
}
