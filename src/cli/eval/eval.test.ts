// `gptoss eval` as users meet it: a suite asked of the seed model in this process and of a server, results as JSON, a run
// that was killed going on to the same result, and one clear line for everything that is wrong.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { repoPath } from '../../../test/shared.ts';
import { type Asked, chatAnswer, gptoss, scriptedServer } from './eval.testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'gptoss-eval-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const eval_ = (...argv: string[]) => gptoss(folder, ['eval', ...argv]);

/** Sums are answered rightly unless they end in an odd digit. */
function answerSums({ body }: Asked): ReturnType<typeof chatAnswer> {
  const [a, b] = body.messages!.at(-1)!.content.match(/\d+/g)!.map(Number);
  const sum = a! + b!;
  return chatAnswer(sum % 2 === 0 ? `${a} + ${b} = ${sum}.` : 'I do not know.', sum % 10);
}

const sums = ['tiny', '--items', '4', '--only', 'addition/plain/tools-off', '--sampled', '0', '--training-draws', '0'];

function timeless(results: string): unknown {
  const { totals, ...rest } = JSON.parse(results) as { totals: Record<string, unknown> };
  return { ...rest, totals: { ...totals, answer_seconds: 0 } };
}

describe('eval tiny', () => {
  it('asks the model in this process and prints one JSON object', async () => {
    const out = join(folder, 'engine');
    const said = await eval_(...sums, '--model', 'tiny', '--out', out, '--json', '--quiet');
    expect(said.err).toBe('');
    expect(said.code).toBe(0);
    const results = JSON.parse(said.out);
    expect(results).toEqual(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')));
    expect(results.levels.map(({ cell }: { cell: { level: string } }) => cell.level)).toEqual([
      'low',
      'medium',
      'high',
    ]);
    for (const { score, items, tokens, malformed } of results.levels) {
      expect(items).toBe(4);
      expect(score.low).toBeLessThanOrEqual(score.mean);
      expect(score.high).toBeGreaterThan(score.low); // never a bare share
      expect(tokens.mean).toBeGreaterThan(5);
      expect(malformed).toBe(0);
    }
    expect(results.comparisons.map(({ what }: { what: string }) => what)).toEqual(['medium - low', 'high - medium']);
    expect(results.checks.length).toBeGreaterThan(2);
    // Again: everything is there already, and the results are the same.
    const again = await eval_(...sums, '--model', 'tiny', '--out', out, '--json');
    expect(again.out).toBe(said.out);
    expect(again.err).toContain('12 of 12 were answered before');
    // Counted again from the journal, and compared with itself.
    const counted = JSON.parse((await eval_('report', out, '--json')).out);
    expect(counted.levels).toEqual(results.levels);
    const same = JSON.parse((await eval_('compare', out, out, '--json')).out);
    expect(same.comparisons.map(({ n, mean, p }: Record<string, number>) => [n, mean, p])).toEqual([
      [4, 0, 1],
      [4, 0, 1],
      [4, 0, 1],
    ]);
    const other = await eval_(...sums, '--model', 'tiny', '--out', out, '--seed', '2');
    expect(other.code).toBe(1);
    expect(other.err).toMatch(/^gptoss: invalid-request: .* was begun with other settings \(settings\)[^\n]*\n$/);
  });

  it('goes on where it was killed, to the same result', async () => {
    const whole = await scriptedServer(answerSums);
    const options = [...sums, '--request-model', 'm', '--json'];
    const first = await eval_(...options, '--url', whole.url, '--out', join(folder, 'whole'));
    expect(first.code).toBe(0);
    expect(whole.asked.length).toBe(12);
    await whole.close();

    const out = join(folder, 'killed');
    let isHanging = true;
    let sixth!: () => void;
    const isStuck = new Promise<void>((resolve) => {
      sixth = resolve;
    });
    const hanging = await scriptedServer((asked, n) => {
      if (!isHanging || n < 5) return answerSums(asked);
      sixth();
      return null;
    });
    const argv = ['eval', ...options, '--url', hanging.url, '--out', out, '--concurrency', '1'];
    const child = spawn(process.execPath, ['--import', 'tsx', repoPath('src/cli/bin.ts'), ...argv], {
      cwd: repoPath(),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // The sixth question has come: five answers are written down, and this one will never be.
    await Promise.race([ended, isStuck]);
    expect(child.kill('SIGKILL')).toBe(true);
    await ended;
    expect(readFileSync(join(out, 'samples.jsonl'), 'utf8').split('\n').length).toBe(1 + 5 + 1);

    isHanging = false;
    const second = await gptoss(folder, argv);
    expect(second.err).toContain('5 of 12 were answered before');
    expect(second.code).toBe(0);
    expect(hanging.asked.length).toBe(6 + 7);
    const ours = second.out.replaceAll(hanging.url, whole.url);
    expect(timeless(ours)).toEqual(timeless(first.out));
    await hanging.close();
  });
});

describe('eval, wrongly asked', () => {
  it('names the suites there are', async () => {
    const { code, err } = await eval_('mnlu');
    expect(code).toBe(2);
    expect(err).toMatch(/^gptoss: usage: eval mnlu is not known; expected [^\n]*tiny[^\n]*\n$/);
    expect((await eval_('list')).out).toMatch(/^tiny +/m);
    expect((await eval_('compare', folder)).code).toBe(2);
    expect((await eval_('report', join(folder, 'nowhere'))).err).toMatch(/^gptoss: not-found: /);
  });

  it('says that nobody is at a URL', async () => {
    const server = await scriptedServer(() => null);
    await server.close();
    const { code, err } = await eval_(...sums, '--url', server.url);
    expect(code).toBe(1);
    expect(err).toMatch(/^gptoss: io: http:[^\n]*cannot be reached \(ECONNREFUSED\)[^\n]*\n$/);
    expect((await eval_(...sums, '--url', 'gibberish')).err).toMatch(
      /^gptoss: invalid-request: gibberish is no address[^\n]*\n$/,
    );
  });

  it('says that the disk is full', async (test) => {
    if (!existsSync('/dev/full')) return test.skip('there is no /dev/full here: no disk that is always full');
    const server = await scriptedServer(answerSums);
    const out = join(folder, 'full');
    mkdirSync(out);
    symlinkSync('/dev/full', join(out, 'results.json'));
    const { code, err } = await eval_(...sums, '--url', server.url, '--out', out, '--quiet');
    expect(code).toBe(1);
    expect(err).toMatch(/^gptoss: io: no space left while writing [^\n]*results\.json[^\n]*\n$/);
    // The answers are not lost, and a journal that is no file is refused instead of being read for ever.
    expect(readFileSync(join(out, 'samples.jsonl'), 'utf8').split('\n').length).toBe(14);
    const odd = join(folder, 'odd');
    mkdirSync(odd);
    symlinkSync('/dev/full', join(odd, 'samples.jsonl'));
    expect((await eval_(...sums, '--url', server.url, '--out', odd)).err).toMatch(
      /^gptoss: invalid-request: [^\n]* is no file/,
    );
    await server.close();
  });
});
