import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { tool } from './function-tool.ts';
import { type Tool, Toolbox, type ToolContext } from './tool.ts';

const context: ToolContext = { signal: new AbortController().signal, id: 'call-1', show: () => undefined };
const call = async (of: Tool, value: unknown): Promise<string> =>
  (await of.run({ text: JSON.stringify(value), value }, context)).text;

describe('a tool from a function', () => {
  it('takes a schema of zod: arguments come checked and with defaults', async () => {
    const greet = tool({
      name: 'greet',
      description: 'Greets.',
      schema: z.object({ name: z.string().describe('Whom.'), times: z.number().int().default(1) }),
      run: ({ name, times }) => `hello ${name} `.repeat(times).trim(),
    });
    expect(greet.definition).toMatchObject({
      name: 'greet',
      parameters: { type: 'object', properties: { name: { type: 'string', description: 'Whom.' } } },
    });
    expect(JSON.stringify(greet.definition)).not.toContain('$schema');
    expect(await call(greet, { name: 'x', times: 2 })).toBe('hello x hello x');
    expect(await call(greet, { name: 'x' })).toBe('hello x');
    expect(await call(greet, { name: 7 })).toMatch(/^Error: the arguments of greet are wrong: \/name /);
  });

  it('takes JSON Schema', async () => {
    const parameters = { type: 'object', properties: { n: { type: 'integer', minimum: 1 } }, required: ['n'] };
    const double = tool({
      name: 'double',
      description: 'Doubles.',
      schema: parameters,
      run: ({ n }) => ({ n: n * 2 }),
    });
    expect(double.definition).toEqual({ name: 'double', description: 'Doubles.', parameters });
    expect(await call(double, { n: 4 })).toBe('{"n":8}');
    expect(await call(double, { n: 0 })).toMatch(/^Error: .*\/n 0 is less than 1/);
    expect(await call(double, {})).toMatch(/^Error: .*"n"/);
  });

  it('takes no schema', async () => {
    const now = tool({ name: 'now', description: 'The time.', run: () => undefined });
    expect(now.definition).toEqual({ name: 'now', description: 'The time.' });
    expect(await call(now, { anything: 1 })).toBe('null');
  });

  it('refuses names, schemas and doubles that cannot work', () => {
    const run = (): string => '';
    for (const name of ['', 'a b', '1st', 'é', 'x'.repeat(65), 'functions.x', 'a\n']) {
      expect(() => tool({ name, description: '', run })).toThrow('rename it');
    }
    expect(() => tool({ name: 'x', description: '', schema: { type: 'nonsense' }, run })).toThrow('JSON Schema');
    const one = tool({ name: 'one', description: '', run });
    expect(() => new Toolbox([one, { name: 'set', tools: [one] }])).toThrow('two tools are called functions.one');
    expect(() => new Toolbox([{ recipient: 'shell', run: () => ({ text: '' }) }])).toThrow('no definition');
  });
});
