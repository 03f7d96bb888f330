// How smooth the chat page stays while a long answer streams in: an answer of 20,000 tokens of mixed Markdown from a scripted model,
// at `--rate` tokens per second, in headless Chromium with the processor slowed down `--slow` times. Prints the frames' times
// at the start and at the end of the answer. GPTOSS_CHROMIUM names the browser.
//   node scripts/run.mjs bench/page.bench.ts [--tokens 20000] [--rate 200] [--slow 4]

import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { createApp } from '../src/server/app.ts';
import { listen } from '../src/server/listen.node.ts';
import { readPage } from '../src/server/page.node.ts';
import { final, scripted } from '../src/server/scripted.testing.ts';
import { repoPath } from '../test/shared.ts';

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '20000' },
    rate: { type: 'string', default: '200' },
    slow: { type: 'string', default: '4' },
  },
});
const [tokens, rate, slow] = [Number(values.tokens), Number(values.rate), Number(values.slow)];
// Each with other numbers, or the loop guard would end the answer.
const section = (i: number): string => {
  const n = (i * 7919) % 10_007;
  const fence = '```';
  return `## Heading ${n}\n\nWords number ${n * 3} with **strong** ${n + 1}, \`code ${n}\` and [a link](https://example.org/${n}).\n\n- ${n * 5} first\n- ${n * 11} second\n\n${fence}ts\nconst total${n} = list.reduce((sum, one) => sum + one, ${n});\n${fence}\n\n| a${n} | b |\n|---|---|\n| ${n * 13} | 2 |\n\nInline $x^{${n}}$.\n\n`;
};
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000 / rate));
const model = scripted(
  final(Array.from({ length: Math.ceil(tokens / 150) }, (_, i) => section(i)).join('')),
  { context: 65_536 },
  pause,
);
const files = readPage(repoPath('dist/page'))!;
const server = await listen(createApp({ model, page: { files, facts: { isTiny: false, tools: [] } } }), {
  host: '127.0.0.1',
  port: 0,
});
const browser = await chromium.launch({
  executablePath: process.env['GPTOSS_CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage({ viewport: { width: 1180, height: 800 } });
const session = await page.context().newCDPSession(page);
await session.send('Emulation.setCPUThrottlingRate', { rate: slow });
await page.goto(`http://127.0.0.1:${server.port}`);
await page.fill('#question', 'Go');
// As text: a compiler's helpers do not exist in the page.
await page.evaluate(`
  globalThis.frames_ = [];
  let last = performance.now();
  requestAnimationFrame(function tick(now) {
    frames_.push([now, now - last]);
    last = now;
    requestAnimationFrame(tick);
  });
`);
await page.press('#question', 'Enter');
const words = (): Promise<number> =>
  page.evaluate(() => document.querySelector('.answer .markdown')?.textContent?.length ?? 0);
const until = Date.now() + (tokens / rate) * 1000;
while (Date.now() < until && (await page.locator('.figures').count()) === 0) await page.waitForTimeout(1000);
console.log(`${await words()} characters on the page`);
const frames = (await page.evaluate('frames_')) as [number, number][];
const fifth = Math.floor(frames.length / 5);
for (const [name, part] of [
  ['first fifth', frames.slice(10, fifth)],
  ['last fifth', frames.slice(-fifth)],
] as const) {
  const times = part.map(([, time]) => time).sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(share * (times.length - 1))]!.toFixed(0);
  console.log(
    `${name}: frames ${times.length}, median ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`,
  );
}
await browser.close();
await server.stop(0);
