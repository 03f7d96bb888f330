// Structured output at o200k: `npx tsx bench/schema.bench.ts [--json]`. For some typical schemas: how long compiling takes,
// and how long the mask of each token of a real answer takes, the first time (nothing known about the grammar) and when the
// schema has been used before. Answers are encoded as the model would write them; masks are checked to allow every token.
// Also what is paid once per process: the tree of tokens and what free strings allow. Each figure is the least of nine runs
// (compiled afresh for first masks), because these times are so short that other processes disturb most of them.
import { o200kHarmony } from '../src/text/o200k-harmony.node.ts';
import { type CompiledFormat, compileFormat, grammarOf, type OutputFormat } from '../src/text/schema/output-format.ts';
import { tokenTrie } from '../src/text/token-trie.ts';

const tokenizer = o200kHarmony();
const { vocabulary } = tokenizer;
const end = 200_002;
const milliseconds = (work: () => unknown): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};
const at = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

const text = { type: 'string' };
const address = {
  type: 'object',
  properties: { street: text, city: text, zip: { type: 'string', pattern: '^\\d{5}(-\\d{4})?$' } },
  required: ['street', 'city', 'zip'],
  additionalProperties: false,
};
const samples: Record<string, { format: OutputFormat; answers: readonly string[] }> = {
  'tool call': {
    format: {
      kind: 'json-schema',
      schema: {
        type: 'object',
        properties: {
          location: text,
          unit: { enum: ['celsius', 'fahrenheit'] },
          days: { type: 'integer', minimum: 1, maximum: 14 },
        },
        required: ['location'],
        additionalProperties: false,
      },
    },
    answers: [JSON.stringify({ location: 'San Francisco, California', unit: 'celsius', days: 5 })],
  },
  extraction: {
    format: {
      kind: 'json-schema',
      schema: {
        type: 'object',
        $defs: { address },
        properties: {
          name: { type: 'string', minLength: 1, maxLength: 80 },
          born: { type: ['string', 'null'], format: 'date' },
          emails: { type: 'array', items: { type: 'string', format: 'email' }, maxItems: 10 },
          home: { $ref: '#/$defs/address' },
          work: { anyOf: [{ $ref: '#/$defs/address' }, { type: 'null' }] },
          score: { type: 'number', minimum: 0, maximum: 1 },
          tags: { type: 'array', items: text },
          notes: text,
        },
        required: ['name', 'born', 'emails', 'home', 'work', 'score', 'tags', 'notes'],
        additionalProperties: false,
      },
    },
    answers: [
      JSON.stringify(
        {
          name: 'Zoë Müller-Østergård',
          born: '1984-02-29',
          emails: ['zoe@example.com', 'z.mueller@mail.example.org'],
          home: { street: '12 Main Street', city: 'Springfield', zip: '12345-6789' },
          work: null,
          score: 0.875,
          tags: ['customer', 'newsletter', 'très important', '日本語'],
          notes:
            'Called twice in March about the delivery; prefers e-mail. "Very friendly", says the driver.\nCall back in May.',
        },
        null,
        2,
      ),
    ],
  },
  recursive: {
    format: {
      kind: 'json-schema',
      schema: {
        type: 'object',
        properties: { value: text, children: { type: 'array', items: { $ref: '#' } } },
        required: ['value', 'children'],
        additionalProperties: false,
      },
    },
    answers: [
      JSON.stringify({
        value: 'root',
        children: [
          { value: 'left', children: [{ value: 'leaf', children: [] }] },
          { value: 'right', children: [] },
        ],
      }),
    ],
  },
  'union of 12': {
    format: {
      kind: 'json-schema',
      schema: {
        anyOf: Array.from({ length: 12 }, (_, i) => ({
          type: 'object',
          properties: { action: { const: `action_${i}` }, target: text, count: { type: 'integer' } },
          required: ['action', 'target'],
          additionalProperties: false,
        })),
      },
    },
    answers: [JSON.stringify({ action: 'action_7', target: 'the blue button in the upper corner', count: 3 })],
  },
  'any object': {
    format: { kind: 'json-object' },
    answers: [
      JSON.stringify(
        { a: [1, 2.5, -3e4, true, null], text: 'some words here', nested: { deep: { deeper: [] } } },
        null,
        2,
      ),
    ],
  },
  '200 properties': {
    format: {
      kind: 'json-schema',
      schema: {
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 200 }, (_, i) => [`field_${i}`, i % 2 ? text : { type: 'number' }]),
        ),
        additionalProperties: false,
      },
    },
    answers: [
      JSON.stringify(Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`field_${i * 8 + 1}`, `value ${i}`]))),
    ],
  },
  regex: {
    format: { kind: 'regex', pattern: '(?:[A-Z][a-z]+ ){2,5}\\d{1,4}(?:, [A-Za-z]+)?\\.' },
    answers: ['Avenue Of The Americas 1271, Manhattan.'],
  },
};

const trieMs = milliseconds(() => tokenTrie(vocabulary));
const freeMs = milliseconds(() => {
  const constraint = compileFormat({ kind: 'json-schema', schema: { type: 'string' } }, vocabulary).constraint(end);
  constraint.push(tokenizer.encode('"')[0]);
  constraint.allowed();
});

/** Microseconds of each mask along the answers. */
function masks(format: CompiledFormat, answers: readonly string[]): number[] {
  const times: number[] = [];
  for (const answer of answers) {
    const constraint = format.constraint(end);
    for (const id of tokenizer.encode(answer)) {
      const start = performance.now();
      const allowed = constraint.allowed();
      times.push((performance.now() - start) * 1000);
      const isAllowed =
        allowed.kind === 'ids' ? allowed.ids.includes(id) : ((allowed.bits[id >> 5] >>> (id & 31)) & 1) === 1;
      if (!isAllowed || !constraint.push(id)) throw new Error(`${JSON.stringify(tokenizer.decode([id]))} in ${answer}`);
    }
    if (!constraint.mayEnd) throw new Error(`not over: ${answer}`);
  }
  return times;
}

const runs = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const leastOf = (lists: readonly number[][]): number[] =>
  lists[0].map((_, i) => Math.min(...lists.map((list) => list[i])));

const rows: Record<string, Record<string, number | string>> = {};
for (const [name, { format, answers }] of Object.entries(samples)) {
  const firstCompileMs = milliseconds(() => grammarOf(format));
  const compileMs = Math.min(...runs.map(() => milliseconds(() => grammarOf(format))));
  const first = leastOf(runs.map(() => masks(compileFormat(format, vocabulary), answers)));
  const compiled = compileFormat(format, vocabulary);
  masks(compiled, answers);
  const again = leastOf(runs.map(() => masks(compiled, answers)));
  rows[name] = {
    tokens: first.length,
    'first compile ms': firstCompileMs.toFixed(1),
    'compile ms': compileMs.toFixed(1),
    'first mask µs, median': at(first, 0.5).toFixed(1),
    p90: at(first, 0.9).toFixed(0),
    most: at(first, 1).toFixed(0),
    'sum ms': (first.reduce((sum, one) => sum + one, 0) / 1000).toFixed(1),
    'again µs, median': at(again, 0.5).toFixed(2),
    p99: at(again, 0.99).toFixed(1),
  };
}
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ trieMs, freeMs, rows })}\n`);
else {
  process.stdout.write(`once: token trie ${trieMs.toFixed(0)} ms, free strings ${freeMs.toFixed(0)} ms\n`);
  console.table(rows);
}
