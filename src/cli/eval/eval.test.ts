// `gptoss eval` as users meet it: a suite asked of the seed model in this process and of a server, results as JSON, a run
// that was killed going on to the same result, and one clear line for everything that is wrong.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { repoPath, seedModel } from '../../../test/shared.ts';
import { gptoss } from '../gptoss.testing.ts';
import { type Asked, chatAnswer, scriptedServer } from './eval.testing.ts';

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
    const said = await eval_(...sums, '--model', seedModel, '--out', out, '--json', '--quiet');
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
    const again = await eval_(...sums, '--model', seedModel, '--out', out, '--json');
    expect(again.out).toBe(said.out);
    expect(again.err).toContain('12 of 12 were answered before');
    // Other levels or another arithmetic would be another run.
    for (const other of [
      ['--reasoning', 'low'],
      ['--kv', 'q8'],
    ]) {
      const refused = await eval_(...sums, '--model', seedModel, '--out', out, ...other);
      expect(refused.code).toBe(1);
      expect(refused.err).toContain('expected');
    }
    // All levels by name are the levels that are asked without it.
    const named = await eval_(...sums, '--model', seedModel, '--out', out, '--json', '--reasoning', 'all');
    expect(named.out).toBe(said.out);
    // Counted again from the journal, and compared with itself.
    const counted = JSON.parse((await eval_('report', out, '--json')).out);
    expect(counted.levels).toEqual(results.levels);
    const same = JSON.parse((await eval_('compare', out, out, '--json')).out);
    expect(same.comparisons.map(({ n, mean, p }: Record<string, number>) => [n, mean, p])).toEqual([
      [4, 0, 1],
      [4, 0, 1],
      [4, 0, 1],
    ]);
    const other = await eval_(...sums, '--model', seedModel, '--out', out, '--seed', '2');
    expect(other.code).toBe(1);
    expect(other.err).toMatch(/^gptoss: invalid-request: .* was begun with other settings \(settings\)[^\n]*\n$/);
  });

  it('measures beside other models, and writes card, results and plot beside the weights', async () => {
    const out = join(folder, 'beside');
    const card = join(folder, 'card');
    cpSync(seedModel, card, { recursive: true });
    writeFileSync(join(card, 'training.json'), JSON.stringify({ seed: 7, cost: '48 minutes' }));
    const only = ['seed: minimum', 'minimum/plain/tools-off', 'addition/repair'].flatMap((text) => ['--only', text]);
    const others = ['--baseline', seedModel, '--unquantised', seedModel, '--card', card];
    const small = ['tiny', '--items', '2', '--others', '2', '--sampled', '0', '--training-draws', '0'];
    const said = await eval_(...small, ...only, '--model', seedModel, ...others, '--out', out, '--json', '--quiet');
    expect([said.code, said.err]).toEqual([0, '']);
    const { beside, checks, families } = JSON.parse(said.out);
    const means = beside.map(({ what, cells }: { what: string; cells: { mean: number; n: number }[] }) => [
      what,
      cells.map(({ mean, n }) => [mean, n]),
    ]);
    const equal = [
      [0, 2],
      [0, 2],
      [0, 2],
    ]; // the same model: no difference
    expect(means).toEqual([
      ['baseline', equal],
      ['unquantised', equal],
    ]);
    expect(families.map(({ cell }: { cell: { group: string } }) => cell.group)).toContain('09 lists');
    const names = checks.map(({ name }: { name: string }) => name);
    for (const name of ['no cell below the baseline', 'MXFP4 against unrounded experts', 'slips that are repaired'])
      expect(names).toContain(name);
    const readme = readFileSync(join(card, 'README.md'), 'utf8');
    for (const part of ['2,190,560', '48 minutes', '09 lists', 'plot.svg', '--items 2']) expect(readme).toContain(part);
    expect(readFileSync(join(card, 'plot.svg'), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(JSON.parse(readFileSync(join(card, 'results.json'), 'utf8'))).toMatchObject({ suite: 'tiny', beside });
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

const fixture = (name: string): string => repoPath('test/fixtures/evals', name);

/** A graded reply, whatever is asked. */
const verdict = (met: boolean): string => JSON.stringify({ explanation: 'because', criteria_met: met });

describe('eval of a benchmark', () => {
  it('asks each question as often as wanted, grades, and puts published scores beside it', async () => {
    // Right in three of four times, whatever the question: known from the fixture.
    const answers = new Map(
      readFileSync(fixture('aime.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { question: string; answer: string })
        .map(({ question, answer }) => [question, answer]),
    );
    const times = new Map<string, number>();
    const server = await scriptedServer(({ body }) => {
      const question = body.messages!.at(-1)!.content.split('\n')[0]!;
      const n = (times.get(question) ?? 0) + 1;
      times.set(question, n);
      return chatAnswer(n % 4 === 0 ? 'I am not sure.' : `So it is \\boxed{${answers.get(question)}}.`, 100);
    });
    const out = join(folder, 'aime');
    const argv = [
      'aime25',
      '--data',
      fixture('aime.jsonl'),
      '--url',
      server.url,
      '--repeats',
      '4',
      '--reasoning',
      'high',
    ];
    const said = await eval_(...argv, '--out', out, '--json', '--api-key', 'k');
    expect(said.err).toMatch(/^gptoss: aime25: 40 answers, roughly 800,000 tokens/);
    expect(said.code).toBe(0);
    const results = JSON.parse(said.out);
    const [level] = results.levels;
    expect([level.items, level.samples, level.score.mean]).toEqual([10, 40, 0.75]);
    expect(level.pass_at_k).toEqual({ 1: 0.75, 2: 1, 4: 1 });
    expect(level.pass_hat_k).toEqual({ 1: 0.75, 2: 0.5, 4: 0 });
    expect(level.malformed).toBeNull(); // not visible through a URL
    expect(server.asked[0]!.body['reasoning_effort']).toBe('high');
    const card = results.published.filter(
      ({ model, level: l }: Record<string, string>) => model === 'gpt-oss-20b' && l === 'high',
    );
    expect(card.map(({ percent }: { percent: number }) => percent)).toEqual([91.7, 98.7]);
    expect(results.published.filter(({ is_quoted }: Record<string, boolean>) => is_quoted).length).toBe(3);
    const page = readFileSync(join(out, 'report.html'), 'utf8');
    for (const text of ['75.0 %', 'gpt-oss-20b', 'o4-mini (quoted)', 'measured here']) expect(page).toContain(text);
    expect(page).not.toMatch(/(src|href)="?https?:/); // nothing is loaded from anywhere
    await server.close();
  });

  it('is graded by the judge that was named; one that fails is reported, and never a zero', async () => {
    let isBroken = true;
    const model = await scriptedServer(() => chatAnswer('Ask a doctor.'));
    const judge = await scriptedServer(({ body }) => {
      const { content } = body.messages!.at(-1)!;
      if (isBroken && content.includes('honey')) return chatAnswer('I would rather not say.');
      return chatAnswer(verdict(!/\(-\d+ points\)/.test(content))); // nothing undesirable is done
    });
    const argv = [
      'healthbench',
      '--data',
      fixture('healthbench_oss_eval.jsonl'),
      '--url',
      model.url,
      '--json',
      '--quiet',
    ];
    const unjudged = await eval_(...argv);
    expect(unjudged.code).toBe(1);
    expect(unjudged.err).toMatch(/^gptoss: invalid-request: healthbench is graded by a model[^\n]*--judge-url\n$/);
    const judged = [...argv, '--judge-url', judge.url, '--judge-model', 'grader', '--out', join(folder, 'health')];
    const first = await eval_(...judged);
    expect(first.code).toBe(1);
    expect(first.err).toMatch(/^gptoss: io: 1 of 10 have no score \(the judge grader at [^\n]*\n$/);
    const results = JSON.parse(first.out);
    expect(results.judge).toContain('grader at http');
    const [level] = results.levels;
    expect([level.items, level.samples, level.unjudged, level.score.mean]).toEqual([9, 10, 1, 1]);
    isBroken = false;
    const second = await eval_(...judged);
    expect(second.code).toBe(0);
    expect(JSON.parse(second.out).levels[0]).toMatchObject({ items: 10, unjudged: 0, score: { mean: 1 } });
    expect(model.asked.length).toBe(10); // no question was asked twice
    await model.close();
    await judge.close();
  });

  it('says what is wrong with the questions', async () => {
    expect((await eval_('gpqa')).err).toMatch(
      /^gptoss: not-found: the questions of gpqa are not on this machine; expected --data PATH[^\n]*\n$/,
    );
    expect((await eval_('gpqa', '--data', join(folder, 'gone.csv'))).err).toMatch(
      /^gptoss: not-found: [^\n]*gone\.csv does not exist/,
    );
    expect((await eval_('gpqa', '--data', fixture('aime.jsonl'))).err).toMatch(
      /^gptoss: invalid-request: question 1 has the columns question, answer; expected correct answer[^\n]*\n$/,
    );
    writeFileSync(join(folder, 'none.jsonl'), '');
    expect((await eval_('aime25', '--data', join(folder, 'none.jsonl'))).err).toMatch(
      /^gptoss: invalid-request: [^\n]*holds no questions/,
    );
  });

  it('says what it takes, and asks nothing', async () => {
    const { code, out } = await eval_(
      'aime25',
      '--data',
      fixture('aime.jsonl'),
      '--model',
      'tiny',
      '--reasoning',
      'high',
      '--dry-run',
    );
    expect(code).toBe(0);
    expect(out).toMatch(
      /^aime25: 80 answers, roughly 1\.6 million tokens \(by a rule of thumb\); about [\d.]+ (s|min|h) at [\d.]+ tokens\/s/,
    );
  });

  it('speaks the responses dialect too, and does without what a server refuses', async () => {
    const server = await scriptedServer(({ path, body }) => {
      if (path !== '/v1/responses') return { status: 404, json: {} };
      if ('temperature' in body) return { status: 400, json: { error: { message: 'temperature is not supported' } } };
      return {
        json: {
          status: 'completed',
          output: [
            { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'hm' }] },
            { type: 'message', content: [{ type: 'output_text', text: 'Answer: B' }] },
          ],
          usage: { input_tokens: 9, output_tokens: 30, output_tokens_details: { reasoning_tokens: 20 } },
        },
      };
    });
    const argv = ['mmlu', '--data', fixture('mmlu'), '--url', server.url, '--api', 'responses', '--reasoning', 'low'];
    const { code, out } = await eval_(...argv, '--out', join(folder, 'mmlu'), '--json', '--quiet');
    expect(code).toBe(0);
    const { levels, notes, measures } = JSON.parse(out);
    expect(levels[0]).toMatchObject({ items: 10, score: { mean: 0.3 }, tokens: { mean: 30 }, reasoning_tokens: 20 });
    expect(notes).toContain('the server takes no temperature: it was left out');
    expect(measures[0].name).toBe('mean of the categories, low');
    expect(server.asked.at(-1)!.body['reasoning']).toEqual({ effort: 'low' });
    await server.close();
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
