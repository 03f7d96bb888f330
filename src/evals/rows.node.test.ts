// The same questions from every kind of file; and everything that can be wrong with one, said with its name.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, describe, expect, it } from 'vitest';
import { repoPath } from '../../test/shared.ts';
import { cachedDataset, readRows } from './rows.node.ts';
import { FILE } from './rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'gptoss-rows-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const any = { files: /./ };
const questions = [
  { question: 'What is "1 + 1",\nagain?', answer: 2 },
  { question: 'ä, ö and 漢字?', answer: 30 },
];
const plain = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.map((row) => ({ question: row['question'], answer: Number(row['answer']) }));

describe('rows', () => {
  it('are the same from every kind of file', async () => {
    const lines = questions.map((row) => JSON.stringify(row)).join('\n');
    const parquet = parquetWriteBuffer({
      columnData: [
        { name: 'question', data: questions.map(({ question }) => question), type: 'STRING' },
        { name: 'answer', data: questions.map(({ answer }) => BigInt(answer)), type: 'INT64' },
        { name: 'image', data: ['x', 'y'], type: 'STRING' },
      ],
    });
    const csv = `question,answer\r\n"What is ""1 + 1"",\nagain?",2\r\n"ä, ö and 漢字?",30\r\n`;
    const files = [
      file('a.jsonl', `${lines}\n\n`),
      file('b.json', JSON.stringify(questions)),
      file('c.json', JSON.stringify({ rows: questions.map((row) => ({ row_idx: 0, row })) })),
      file('d.csv', `\ufeff${csv}`),
      file('e.jsonl.gz', gzipSync(lines)),
      file('f.parquet', new Uint8Array(parquet)),
    ];
    for (const path of files) {
      const { rows, hash } = await readRows(path, any);
      expect(plain(rows), path).toEqual(questions);
      expect((await readRows(path, any)).hash).toBe(hash);
    }
    const few = await readRows(files[5]!, { files: /./, columns: ['question', 'absent'] });
    expect(Object.keys(few.rows[0]!)).toEqual(['question', FILE]);
    const headless = await readRows(file('g.csv', '"1 + 1?",2\n'), { files: /./, headless: ['question', 'answer'] });
    expect(plain(headless.rows)).toEqual([{ question: '1 + 1?', answer: 2 }]);
  });

  it('come from the fitting files of a folder, also of the hub’s cache', async () => {
    const snapshot = 'hub/datasets--org--set/snapshots/abc';
    file(`${snapshot}/data/test-0.jsonl`, '{"question": "a"}');
    file(`${snapshot}/data/train-0.jsonl`, '{"question": "b"}');
    file(`${snapshot}/README.md`, 'x');
    const path = cachedDataset(join(folder, 'hub'), ['org/none', 'org/set'])!;
    expect((await readRows(path, { files: /test/ })).rows.map((row) => row['question'])).toEqual(['a']);
    expect((await readRows(path, { files: /nothing/ })).rows.length).toBe(2);
    expect(cachedDataset(join(folder, 'hub'), ['org/none'])).toBeNull();
  });

  it.each<[name: string, content: string | Uint8Array, message: RegExp]>([
    ['empty.jsonl', '\n', /empty\.jsonl holds no questions; expected at least one row/],
    ['cut.jsonl', '{"a": 1}\n{"a": ', /cut\.jsonl cannot be read as jsonl \(line 2 is no JSON\)/],
    ['list.jsonl', '3\n', /line 1 is no object/],
    ['no-list.json', '{"a": 1}', /there is no list in it/],
    ['bad.parquet', 'PAR1 nothing', /bad\.parquet cannot be read as parquet/],
    ['binary.csv', Uint8Array.of(0xff, 0xfe, 0x00), /binary\.csv cannot be read as csv/],
    ['quotes.csv', 'a,b\n"never closed', /quotes\.csv cannot be read as csv/],
    ['gone.jsonl.gz', 'no gzip', /gone\.jsonl\.gz cannot be read as jsonl/],
    ['notes.txt', 'x', /notes\.txt is of no known kind; expected \.jsonl/],
  ])('of %s are refused', async (name, content, message) => {
    await expect(readRows(file(`bad/${name}`, content), any)).rejects.toThrow(message);
  });

  it('are refused where there is no file', async () => {
    await expect(readRows(join(folder, 'nowhere.csv'), any)).rejects.toThrow(/nowhere\.csv does not exist/);
    mkdirSync(join(folder, 'void'));
    await expect(readRows(join(folder, 'void'), any)).rejects.toThrow(/void holds 0 files of questions/);
    await expect(readRows('/dev/zero', any)).rejects.toThrow(/neither a file nor a folder/);
  });

  it('survive damage of a parquet file', async () => {
    const whole = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'question', data: ['a', 'b', 'c'], type: 'STRING' }] }),
    );
    for (const at of [7, 21, 60, whole.length - 20]) {
      const damaged = whole.slice();
      damaged[at] = damaged[at]! ^ 0x55;
      const path = file('damaged.parquet', damaged);
      // Either rows (the damage was in something unimportant) or one clear error.
      // One of them sends the reader round for ever: it is ended at the limit, which here is short.
      await readRows(path, { ...any, parquetMs: 1_000 }).then(
        ({ rows }) => expect(rows.length).toBeGreaterThan(0),
        (error: Error) => expect(error.message).toMatch(/damaged\.parquet (cannot be read|holds no questions)/),
      );
    }
  });

  it('of the fixtures are ten for each benchmark', async () => {
    for (const name of ['aime.jsonl', 'gpqa_diamond.csv', 'hle.jsonl', 'healthbench_oss_eval.jsonl']) {
      const headless = name.endsWith('.csv') ? undefined : ['question'];
      expect((await readRows(repoPath('test/fixtures/evals', name), { files: /./, headless })).rows.length, name).toBe(
        10,
      );
    }
  });
});
