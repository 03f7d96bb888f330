// A page of the server's machine that an answer cites, as the model read it: lines of text, the cited ones marked. Text only,
// so whatever the page holds does nothing. Opened by any link to a `local:` address.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { type CitedDocument, getDocument } from '../api/server.ts';
import { t } from '../language.ts';
import { IconButton } from './icons.tsx';

interface Shown {
  readonly url: string;
  readonly document: CitedDocument | null; // not read yet
  readonly problem: string | null;
  readonly from: number;
  readonly to: number;
}

const shown = signal<Shown | null>(null);

/** Listens for the whole page: links lie in HTML that is not ours to wire up. */
export function openLocalLink(event: MouseEvent): void {
  const link = (event.target as Element).closest?.('a[href^="local:" i]');
  const url = link?.getAttribute('href');
  if (url === null || url === undefined) return;
  event.preventDefault();
  void show(url);
}

async function show(url: string): Promise<void> {
  const [, first, last = first] = /#L(\d+)(?:-L(\d+))?$/.exec(url) ?? [];
  const place = first === undefined ? { from: -1, to: -1 } : { from: Number(first), to: Number(last) };
  shown.value = { url, document: null, problem: null, ...place };
  try {
    const document = await getDocument(url);
    if (shown.value?.url === url) shown.value = { ...shown.value, document };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    if (shown.value?.url === url) shown.value = { ...shown.value, problem };
  }
}

export function DocumentView() {
  const dialog = useRef<HTMLDialogElement>(null);
  const marked = useRef<HTMLSpanElement>(null);
  const one = shown.value;
  useEffect(() => {
    if (one !== null && dialog.current?.open === false) dialog.current.showModal();
    marked.current?.scrollIntoView({ block: 'center' });
  }, [one]);
  if (one === null) return null;
  const { document, problem, from, to, url } = one;
  return (
    <dialog class="document" ref={dialog} aria-labelledby="document-title" onClose={() => (shown.value = null)}>
      <header>
        <h2 id="document-title">{document?.title ?? t('loading')}</h2>
        <IconButton icon="close" label={t('close')} onClick={() => dialog.current?.close()} />
      </header>
      <p class="faint">{url.replace(/#L[\d-L]*$/, '')}</p>
      {problem !== null && (
        <p class="notice error" role="alert">
          {problem}
        </p>
      )}
      {document !== null && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <pre tabIndex={0}>
          {document.lines.map((line, i) => {
            const isCited = i >= from && i <= to;
            return (
              <span key={i} class={isCited ? 'line cited' : 'line'} ref={i === from ? marked : undefined}>
                {line}
                {'\n'}
              </span>
            );
          })}
        </pre>
      )}
    </dialog>
  );
}
