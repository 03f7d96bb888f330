// Calls as models write them: almost JSON, odd names; and names of clients on their way to the prompt and back.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callArguments, resolveRecipient, toolNames } from './tool-calls.ts';

describe('callArguments', () => {
  const cases: Record<string, [raw: string, status: string, value: unknown]> = {
    'plain JSON': ['{"a": 1}', 'ok', { a: 1 }],
    'space around it': [' {"a": 1}\n', 'ok', { a: 1 }],
    nothing: ['  ', 'empty', {}],
    'a list of one': ['[{"a": 1}]', 'unwrapped', { a: 1 }],
    'JSON in a string': ['"{\\"a\\": 1}"', 'unwrapped', { a: 1 }],
    'a trailing bracket': ['{"a": {"b": "}"}}]', 'recovered', { a: { b: '}' } }],
    'two objects': ['{"a": 1}{"a": 2}', 'recovered', { a: 1 }],
    'a fence': ['```json\n{"a": 1}\n```', 'recovered', { a: 1 }],
    'text before': ['Calling {it} with {"a": 1}.', 'recovered', { a: 1 }],
    'raw line ends in strings': ['{"a": "x\ny\t\\"z\\""}', 'recovered', { a: 'x\ny\t"z"' }],
    'raw line ends and a trailing bracket': ['{"a": "x\ny"}]', 'recovered', { a: 'x\ny' }],
    'another JSON value': ['[1, 2]', 'ok', [1, 2]],
    'a cut object': ['{"a": "b', 'raw', undefined],
    'a command': ['ls -R', 'raw', undefined],
    'deep nesting': ['['.repeat(100_000), 'raw', undefined],
    'many braces': ['{'.repeat(100_000), 'raw', undefined],
  };
  for (const [name, [raw, status, value]] of Object.entries(cases)) {
    it(`reads ${name}`, () => {
      const result = callArguments(raw);
      expect(result).toMatchObject({ status });
      expect(result.value).toEqual(value);
      if (status === 'raw') expect(result.text).toBe(raw);
      else expect(JSON.parse(result.text)).toEqual(value);
    });
  }

  it('never throws, and keeps all JSON objects', () => {
    fc.assert(
      fc.property(fc.string(), (raw) => void callArguments(raw)),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom('', ']', '}', ' ok'), (value, tail) => {
        const kept = JSON.parse(JSON.stringify(value));
        expect(callArguments(JSON.stringify(value) + tail).value).toEqual(kept);
      }),
      { numRuns: 300 },
    );
  });

  it('gives __proto__ no meaning', () => {
    const { value } = callArguments('{"__proto__": {"polluted": 1}}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('resolveRecipient', () => {
  const offered = { functions: ['get_weather', 'search'], builtins: ['python', 'browser.search'] };
  it('strips functions. and finds built-in tools', () => {
    expect(resolveRecipient('functions.get_weather', offered)).toEqual({ name: 'get_weather', kind: 'function' });
    expect(resolveRecipient('python', offered)).toEqual({ name: 'python', kind: 'builtin' });
    expect(resolveRecipient('browser.search', offered)).toEqual({ name: 'browser.search', kind: 'builtin' });
    expect(resolveRecipient('browser.open', offered)).toEqual({ name: 'browser.open', kind: 'unknown' });
    expect(resolveRecipient('container.exec', offered)).toEqual({ name: 'container.exec', kind: 'unknown' });
  });
  it('takes functions.python for the built-in tool unless a function has that name', () => {
    expect(resolveRecipient('functions.python', offered)).toEqual({ name: 'python', kind: 'builtin' });
    expect(resolveRecipient('functions.python', { ...offered, functions: ['python'] }).kind).toBe('function');
    expect(resolveRecipient('python', { ...offered, functions: ['python'] }).kind).toBe('builtin');
    expect(resolveRecipient('functions.browser.search', offered).kind).toBe('builtin');
  });
  it('finds functions in other spellings', () => {
    expect(resolveRecipient('search', offered)).toEqual({ name: 'search', kind: 'function' });
    expect(resolveRecipient('functions.get-weather', offered)).toEqual({ name: 'get_weather', kind: 'function' });
    expect(resolveRecipient('functions.anything', {})).toEqual({ name: 'anything', kind: 'function' });
    expect(resolveRecipient('functions.anything', { functions: [] }).kind).toBe('unknown');
  });
});

describe('toolNames', () => {
  it('makes identifiers and finds the way back', () => {
    const names = ['get-weather', 'get.weather', 'get_weather', '3d', 'web browsing', 'naïve!', '天気', '', '🌍'];
    const map = toolNames(names);
    expect(names.map(map.toModel)).toEqual([
      'get_weather_2',
      'get_weather_3',
      'get_weather',
      '_3d',
      'web_browsing',
      'nave',
      'tool',
      'tool_2',
      'tool_3',
    ]);
    expect(names.map((name) => map.toClient(map.toModel(name)))).toEqual(names);
    expect(map.toClient('never_seen')).toBe('never_seen');
  });

  it('is one to one for any names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ maxLength: 6 }), { maxLength: 30 }), (names) => {
        const map = toolNames(names);
        for (const name of names) {
          expect(map.toModel(name)).toMatch(/^[A-Za-z_$][A-Za-z0-9_$]*$/);
          expect(map.toClient(map.toModel(name))).toBe(name);
        }
      }),
      { numRuns: 300 },
    );
  });
});
