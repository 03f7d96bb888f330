// LaTeX to MathML, which browsers draw themselves: no fonts to fetch and no inline styles. A chunk of its own.

import temml from 'temml';

export function renderFormula(formula: string, isDisplay: boolean): string {
  // Untrusted: no links, no styles, no files; bounded macros.
  const options = {
    displayMode: isDisplay,
    throwOnError: false,
    trust: false,
    maxExpand: 200,
    maxSize: [20, 100] as [number, number],
  };
  // The page's policy allows no style attributes, and reports each one that is even parsed.
  return temml.renderToString(formula, options).replace(/ style="[^"]*"/g, '');
}
