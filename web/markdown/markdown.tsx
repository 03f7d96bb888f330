// Markdown on the screen while it is being written. Settled pieces are drawn once; only the open end is drawn again, at
// most once a frame and less often where a frame costs much, so that a weak machine stays smooth. Next: pieces.ts, render.ts.

import { memo } from 'preact/compat';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import remend from 'remend';
import { t } from '../language.ts';
import { Pieces } from './pieces.ts';
import { loaded, renderMarkdown } from './render.ts';

const Piece = memo(function Piece({ text, version }: { text: string; version: number }) {
  const html = useMemo(() => renderMarkdown(text), [text, version]);
  return <div class="piece" dangerouslySetInnerHTML={{ __html: html }} />;
});

/** Code by itself, with its colours and a button that copies it. */
export function Code({ text, language }: { text: string; language: string }) {
  // In a fence that the text itself cannot close.
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return (
    <div class="markdown">
      <Piece text={`${fence}${language}\n${text}\n${fence}`} version={loaded.value} />
    </div>
  );
}

/** `isOpen`: more is coming. */
export function Markdown({ text, isOpen }: { text: string; isOpen: boolean }) {
  const shown = usePaced(text, isOpen);
  const pieces = useRef(new Pieces()).current;
  pieces.update(shown, !isOpen && shown === text);
  const open = isOpen ? remend(pieces.open) : pieces.open;
  const version = loaded.value;
  return (
    <div class="markdown">
      {pieces.settled.map((piece, i) => (
        <Piece key={i} text={piece} version={version} />
      ))}
      {open !== '' && <Piece key="open" text={open} version={version} />}
    </div>
  );
}

/** The text as of the last frame that was due: after a costly drawing there is a pause of three times its length. */
function usePaced(text: string, isOpen: boolean): string {
  const [shown, setShown] = useState(text);
  const latest = useRef(text);
  const due = useRef(0);
  const frame = useRef(0);
  latest.current = text;
  useEffect(() => {
    if (!isOpen) {
      setShown(text);
      return;
    }
    if (frame.current !== 0) return;
    const draw = (): void => {
      const now = performance.now();
      if (now < due.current) {
        frame.current = requestAnimationFrame(draw);
        return;
      }
      frame.current = 0;
      setShown(latest.current);
      requestAnimationFrame(() => {
        due.current = performance.now() + Math.min(500, 3 * (performance.now() - now));
      });
    };
    frame.current = requestAnimationFrame(draw);
  }, [text, isOpen]);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  return isOpen ? shown : text;
}

/** Listens for the whole page: the buttons lie in HTML that is not ours to wire up. */
export function copyFence(event: MouseEvent): void {
  const button = (event.target as Element).closest('button[data-copy]');
  const code = button?.closest('.fence')?.querySelector('code')?.textContent;
  if (!button || code === undefined || code === null) return;
  void navigator.clipboard?.writeText(code).then(() => {
    button.classList.add('copied');
    button.setAttribute('aria-label', t('copied'));
    setTimeout(() => button.classList.remove('copied'), 1200);
  });
}
