// LaTeX to MathML, which browsers draw themselves: no fonts to fetch and no inline styles. A chunk of its own.

import temml from 'temml';

export function renderFormula(formula: string, isDisplay: boolean): string {
  // Untrusted: no links, no styles, no files; bounded macros.
  return temml.renderToString(formula, {
    displayMode: isDisplay,
    throwOnError: false,
    trust: false,
    maxExpand: 200,
    maxSize: [20, 100],
  });
}
