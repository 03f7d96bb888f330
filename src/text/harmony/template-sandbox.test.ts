// Hostile chat templates: each ends in a value, within bounds that do not depend on a clock; and a fuzz of templates.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seedModel } from '../../../test/shared.ts';
import { modelIdentity } from './chat-template.ts';
import { fuzzTemplates } from './template-sandbox.testing.ts';
import { renderTemplate } from './template-sandbox.ts';

const tiny = readFileSync(join(seedModel, 'chat_template.jinja'), 'utf8');

describe('hostile templates', () => {
  const hostile: Record<string, readonly [template: string, problem: RegExp]> = {
    'a huge range': ['{% for i in range(1000000000) %}x{% endfor %}', /number grew too large/],
    'a range that is computed': ['{% for i in range(9999) %}x{% endfor %}', /range\(\) is too long/],
    'a range without end': ['{% for i in range(0, 10, 0) %}x{% endfor %}', /range\(\) is too long/],
    'a doubling string': [
      "{% set n = namespace(s='aaaa') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}",
      /string grew too long/,
    ],
    'a doubling list': [
      '{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}',
      /list grew too long/,
    ],
    'a list of two that doubles when written out': [
      '{% set n = namespace(s=[1]) %}{% for i in range(30) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}',
      /list grew too long/,
    ],
    'a mapping that doubles when written out': [
      "{% set n = namespace(s={}) %}{% for i in range(30) %}{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}{{ n.s }}",
      /list grew too long|too many steps/,
    ],
    'a value nested deeply': [
      '{% set n = namespace(s=[]) %}{% for i in range(99) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s|tojson }}',
      /nested too deeply/,
    ],
    'a namespace within itself': [
      '{% set n = namespace() %}{% set n.a = n %}{% set n.b = n %}{{ n|tojson }}',
      /namespace within another value/,
    ],
    'a namespace that grows after it was listed': [
      '{% set n = namespace() %}{% set l = [n, n] %}{% set n.x = range(4000) %}{{ l ~ l }}',
      /namespace within another value/,
    ],
    'nested loops': ['{% for i in range(4000) %}{% for j in range(4000) %}{% endfor %}{% endfor %}', /too many steps/],
    'loops that only count': [
      `${'{% for i in range(9) %}'.repeat(9)}x${'{% endfor %}'.repeat(9)}`,
      /too many steps|string grew too long/,
    ],
    'a macro that calls itself': ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', /could not be rendered/],
    'a macro that calls itself twice': [
      '{% macro m(d) %}{% if d %}{{ m(d - 1) }}{{ m(d - 1) }}{% endif %}{% endmacro %}{{ m(60) }}',
      /too many steps/,
    ],
    'much text in small pieces': [
      '{% set s %}{% for i in range(4000) %}aB cD eF gH{% endfor %}{% endset %}{% for i in range(4000) %}{% set t = s|upper %}{% endfor %}',
      /too much text/,
    ],
    'a wide indent': ["{{ 'x\\ny'|indent(9999) }}", /number grew too large/],
    'a wide indent of JSON': ['{{ [[[1]]]|tojson(indent=9999) }}', /number grew too large/],
    'a wide indent in a filter section': ['{% filter indent(9999) %}x\ny{% endfilter %}', /number grew too large/],
    'a long separator': ["{{ range(4000)|join('x' * 1) }}", /Unknown operator/],
    'a long literal separator': [`{{ range(4000)|join('${'x'.repeat(65)}') }}`, /string grew too long/],
    'a long separator in a list': [`{{ range(4000)|join(*['${'x'.repeat(65)}']) }}`, /string grew too long/],
    'a long separator by name': [
      `{{ range(4000)|join(**{'separator': '${'x'.repeat(65)}'}) }}`,
      /string grew too long/,
    ],
    'a long replacement': [`{{ 'aaaa'|replace('a', '${'x'.repeat(65)}') }}`, /string grew too long/],
    'a long replacement by a method': [`{{ 'aaaa'.replace('a', '${'x'.repeat(257)}') }}`, /string grew too long/],
    'a long replacement by a computed name': [
      `{% set f = 'aaaa'['re' ~ 'place'] %}{{ f('a', '${'x'.repeat(257)}') }}`,
      /string grew too long/,
    ],
    'a large power': ['{{ 10 ** 300 }}', /number grew too large/],
    'a division by zero': ['{{ 1 // 0 }}', /number grew too large/],
    'deep brackets': [`{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`, /stack/],
    'a long sum': [`{{ 1${' + 1'.repeat(50_000)} }}`, /stack/],
    'too much text': ['x'.repeat(300_000), /more than any real one/],
    'much white space': [' '.repeat(250_000), /white-space/],
    'an exception': ["{{ raise_exception('no') }}", /the template refused: no/],
    'a break outside of a loop': ['{% break %}', /could not be rendered/],
    'no template': ['{% if %}', /could not be rendered/],
    'an open string': ["{{ 'x", /could not be rendered/],
    'an open tag': ['{{', /could not be rendered/],
  };
  for (const [name, [text, problem]] of Object.entries(hostile)) {
    it(`end in a value: ${name}`, () => {
      const result = renderTemplate(text);
      expect(result).toEqual({ ok: false, problem: expect.stringMatching(/chat template/) });
      expect(result.ok ? '' : result.problem).toMatch(problem);
    });
  }

  it('cannot reach the program around them', () => {
    for (const path of [
      'messages.__proto__',
      "messages['__proto__']",
      'messages.constructor',
      "messages[0]['constructor']",
      'range.constructor',
      "range['__proto__']",
      "''.constructor",
      "''.__proto__.x",
      'namespace().__proto__',
      'globalThis',
      'process',
      '__proto__',
      'this',
      'self',
    ]) {
      const result = renderTemplate(`{{ ${path} }}`);
      expect(result.ok ? result.text : '', path).toBe('');
    }
    const polluted =
      "{% set n = namespace() %}{% set n.__proto__ = {'polluted': 1} %}{{ {'__proto__': {'polluted': 1}}|tojson }}";
    expect(renderTemplate(polluted).ok).toBe(true);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('leave the ordinary ones as they are', () => {
    expect(modelIdentity(tiny)?.identity).toBe('You are a tiny gpt-oss model.');
    const ordinary =
      "{% set n = namespace(seen=0) %}{% for m in messages %}{% set n.seen = n.seen + 1 %}{{ m.role|upper ~ ': ' ~ m.content.replace('l', 'L') }}" +
      "{% endfor %}{{ [1, {'a': n.seen}]|tojson(indent=2) }} {{ ['x', 'y']|join(', ') }}{% filter indent(2) %}a\nb{% endfilter %}";
    expect(renderTemplate(ordinary)).toEqual({
      ok: true,
      text: 'USER: HeLLo[\n  1,\n  {\n    "a": 1\n  }\n] x, ya\n  b',
    });
  });

  it('are refused or rendered within bounds whatever is done to them: 800 seeded cases', () => {
    const result = fuzzTemplates(1, 800, [tiny]);
    expect(result.cases).toBe(800);
    expect(result.rendered).toBeGreaterThan(50);
    expect(result.refused).toBeGreaterThan(50);
    expect(result.longestText).toBeLessThanOrEqual(64 * 1024);
  });
});
