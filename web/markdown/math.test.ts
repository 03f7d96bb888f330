import { Marked } from 'marked';
import { describe, expect, it } from 'vitest';
import { mathExtension } from './math.ts';

const markdown = new Marked(mathExtension((formula, isDisplay) => `[${isDisplay ? 'D' : 'I'}:${formula}]`));
const html = (text: string): string => (markdown.parse(text) as string).trim();

describe('formulas', () => {
  it.each([
    ['\\(a_1 + b\\) and $x^2$', '<p>[I:a_1 + b] and [I:x^2]</p>'],
    ['$$\n\\frac{1}{2}\n$$', '[D:\\frac{1}{2}]'],
    ['\\[\na\n\nb\n\\]', '[D:a\n\nb]'],
    ['so \\[a\\] here', '<p>so \n[D:a] here</p>'],
    ['`$x$`', '<p><code>$x$</code></p>'],
  ])('%j', (text, expected) => expect(html(text)).toBe(expected));

  it.each(['It costs $5 and $10.', 'from $3 to $4', '$ x $', 'a$b', 'US$ 5, $'])('are not prices: %s', (text) => {
    expect(html(text)).toBe(`<p>${text}</p>`);
  });
});
