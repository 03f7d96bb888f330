// LaTeX in Markdown: \(…\), $…$ within a line and \[…\], $$…$$ on lines of their own, as models write it. A single dollar
// counts only where it hugs its formula and no digit follows, so that prices stay prices. Next: render.ts.

import type { MarkedExtension, Tokens } from 'marked';

export interface MathToken extends Tokens.Generic {
  readonly type: 'formula';
  readonly text: string;
  readonly isDisplay: boolean;
}

const display = /^(?:\$\$([^$]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;
const inline =
  /^(?:\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\]|\$\$([^$]+?)\$\$|\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<!\s)\$(?![\d$]))/;

/** `render` gives HTML for a formula. */
export function mathExtension(render: (formula: string, isDisplay: boolean) => string): MarkedExtension {
  const renderer = (token: Tokens.Generic): string => render(token['text'] as string, token['isDisplay'] as boolean);
  return {
    extensions: [
      {
        name: 'formula',
        level: 'block',
        start: (source) => source.match(/\$\$|\\\[/)?.index,
        tokenizer: (source) => {
          const match = display.exec(source);
          if (match === null) return undefined;
          return { type: 'formula', raw: match[0], text: (match[1] ?? match[2]!).trim(), isDisplay: true };
        },
        renderer,
      },
      {
        name: 'formula',
        level: 'inline',
        start: (source) => source.match(/\$|\\[([]/)?.index,
        tokenizer: (source) => {
          const match = inline.exec(source);
          if (match === null) return undefined;
          const text = match[1] ?? match[2] ?? match[3] ?? match[4]!;
          return { type: 'formula', raw: match[0], text, isDisplay: match[1] === undefined && match[4] === undefined };
        },
        renderer,
      },
    ],
  };
}
