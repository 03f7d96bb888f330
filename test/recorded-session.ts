// A session as a model would have it, for every surface to replay: it searches, opens, finds, cites and computes, and in its
// second answer goes on with a variable of the first. What the model says is recorded; index, browser and interpreter are
// real, and what they say is checked by whoever replays. Not shipped.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { final, type Script } from '../src/server/scripted.testing.ts';

const pages = {
  'bell.md':
    '# The bell tower\n\nIt was finished in 1532.\n\nThe bell tower is 41.5 metres tall, without its weathercock.\n',
  'water.html':
    '<title>The water tower</title><p>Brick, of 1904.</p><p>The water tower measures 27.25 metres <a href="bell.md">less than the bell tower</a>.</p>',
  'bridge.md': '# The bridge\n\nIt is no tower.\n',
};

/** Writes the pages that the session reads. */
export function writePages(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(pages)) writeFileSync(join(folder, name), text);
}

const call = (recipient: string, given: string, thought: string): string =>
  `<|channel|>analysis<|message|>${thought}<|end|><|start|>assistant<|channel|>analysis to=${recipient} code<|message|>${given}<|call|>`;

export const session = [
  {
    question: 'How tall are the two towers together?',
    steps: [
      call('browser.search', '{"query": "tower"}', 'I look for towers.'),
      call('browser.open', '{"id": "local://pages/bell.md"}', 'First the bell tower.'),
      call('browser.open', '{"id": "local://pages/water.html"}', 'Now the other.'),
      call('browser.find', '{"pattern": "metres"}', 'Where is the number?'),
      call('python', 'heights = [41.5, 27.25]\ntotal = sum(heights)\ntotal', 'Now the sum.'),
      final(
        'Together they are **68.75 m**: the bell tower 41.5 m 【1†L6】, the water tower 27.25 m 【2†L5-L6】.',
        'I have both.',
      ),
    ],
    /** What the tools must have said, in order. */
    results: [/【\d†The bell tower†pages】/, /L6: .*41\.5 metres/, /27\.25 metres/, /match at L\d/, /^68\.75$/],
    answer:
      'Together they are **68.75 m**: the bell tower 41.5 m [The bell tower](<local://pages/bell.md#L6>), the water tower 27.25 m [The water tower](<local://pages/water.html#L5-L6>).',
  },
  {
    question: 'And twice that, in feet?',
    steps: [
      call('python', 'print(round(total * 2 / 0.3048, 1))', 'The total is still there.'),
      final('Twice that is 451.1 feet.', 'Good.'),
    ],
    results: [/^451\.1$/],
    answer: 'Twice that is 451.1 feet.',
  },
] as const;

/** Says the next step of the question that was asked last. */
export const recorded: Script = (prompt) => {
  const asked = prompt.slice(prompt.lastIndexOf('<|start|>user'));
  const turn = session.find(({ question }) => asked.includes(question));
  const done = asked.match(/<\|start\|>(?:browser\.\w+|python)\b/g)?.length ?? 0;
  return turn?.steps[done] ?? final('This was not recorded.');
};

/** What the tools said to the question that was asked last, from the prompt of the step after. */
export function resultsIn(prompt: string): string[] {
  const asked = prompt.slice(prompt.lastIndexOf('<|start|>user'));
  return [
    ...asked.matchAll(
      /<\|start\|>(?:browser\.\w+|python)\b[^<]*(?:<\|channel\|>\w+)?<\|message\|>([\s\S]*?)<\|end\|>/g,
    ),
  ].map(([, text]) => text!);
}
