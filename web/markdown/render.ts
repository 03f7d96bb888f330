// Markdown to safe HTML. What a model writes is hostile: every piece goes through DOMPurify, with no style attributes, no
// forms, no frames and no media from anywhere; links open apart and tell nobody where they came from. Formulas become MathML, code is
// coloured by classes. Both come in chunks of their own, loaded when the first formula or fence appears.
// Refuses: to trust a single byte of its input. Next: markdown.tsx.

import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import { t } from '../language.ts';
import { mathExtension } from './math.ts';

type RenderFormula = (formula: string, isDisplay: boolean) => string;
type Highlight = (code: string, language: string) => string | null;

let renderFormula: RenderFormula | null = null;
let highlight: Highlight | null = null;
/** Counts what was loaded late: pieces that were drawn without it are drawn again. */
export const loaded = signal(0);

const loading = new Set<string>();
function load(name: string, get: () => Promise<void>): void {
  if (loading.has(name)) return;
  loading.add(name);
  get().then(
    () => loaded.value++,
    () => loading.delete(name), // the next formula or fence tries again
  );
}

const markdown = new Marked({ gfm: true, breaks: false });
markdown.use(
  mathExtension((formula, isDisplay) => {
    if (renderFormula === null) {
      load('formula', async () => {
        renderFormula = (await import('./formula.ts')).renderFormula;
      });
    }
    const drawn = formula.length > 4000 ? null : renderFormula?.(formula, isDisplay);
    return drawn ?? `<code class="formula">${escapeHtml(formula)}</code>`;
  }),
);
markdown.use({
  renderer: {
    code({ text, lang }) {
      const language = /^[\w+#.-]{1,30}/.exec(lang ?? '')?.[0].toLowerCase() ?? '';
      if (language !== '' && highlight === null) {
        load('code', async () => {
          highlight = (await import('./highlight.ts')).highlight;
        });
      }
      const inner = (text.length < 50_000 ? highlight?.(text, language) : null) ?? escapeHtml(text);
      const label = escapeHtml(language);
      return `<div class="fence"><div class="fence-head"><span>${label}</span><button type="button" data-copy>${escapeHtml(t('copy'))}</button></div><pre tabindex="0"><code>${inner}</code></pre></div>`;
    },
    html: ({ text }) => escapeHtml(text),
    image: ({ text, href }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    table(token) {
      const cell = (tag: string, { tokens, align }: (typeof token.header)[number]): string =>
        `<${tag}${align ? ` class="${align}"` : ''}>${this.parser.parseInline(tokens)}</${tag}>`;
      const head = token.header.map((one) => cell('th', one)).join('');
      const rows = token.rows.map((row) => `<tr>${row.map((one) => cell('td', one)).join('')}</tr>`).join('');
      return `<div class="table" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
    },
  },
});

const purify = DOMPurify(window);
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName !== 'A') {
    for (const name of ['href', 'xlink:href', 'src']) node.removeAttribute(name);
    return;
  }
  const href = node.getAttribute('href') ?? '';
  if (!/^(?:https?:|mailto:|local:)/i.test(href)) node.removeAttribute('href');
  else if (!/^local:/i.test(href)) {
    // Pages of the server's machine are shown here (parts/document.tsx).
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
});
const policy = {
  USE_PROFILES: { html: true, mathMl: true },
  FORBID_TAGS: [
    'style',
    'form',
    'input',
    'textarea',
    'select',
    'img',
    'picture',
    'source',
    'video',
    'audio',
    'svg',
    'map',
    'area',
  ],
  FORBID_ATTR: ['style', 'srcset', 'id', 'name', 'action', 'formaction', 'ping', 'background'],
  // Addresses of these kinds, and values that are none.
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|local):|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
  ADD_ATTR: ['data-copy', 'target', 'tabindex'],
  ALLOW_DATA_ATTR: false,
  RETURN_TRUSTED_TYPE: true,
};

/** Safe HTML of one piece; where the browser knows Trusted Types, a value that only the cleaner can make. */
export function renderMarkdown(text: string): string {
  let html: string;
  try {
    html = markdown.parse(text, { async: false });
  } catch {
    html = `<pre>${escapeHtml(text)}</pre>`;
  }
  return purify.sanitize(html, policy) as unknown as string;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
