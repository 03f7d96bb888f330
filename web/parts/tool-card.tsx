// A call of a tool as a card: one line that says what was done, and below it code with its output and pictures, the results of
// a search, or what was read. Everything in it is hostile text. Next: document.tsx, ../markdown/markdown.tsx.

import { t } from '../language.ts';
import { Code } from '../markdown/markdown.tsx';
import type { ToolPart } from '../state/conversation.ts';
import { Icon } from './icons.tsx';
import { SourceLink } from './sources.tsx';

const MOST_OUTPUT = 20_000;

export function ToolCard({ part }: { part: ToolPart }) {
  const isCode = part.name === 'python';
  const isRunning = part.status === 'running';
  const hasBody = part.input !== '' || part.output !== null || part.images.length > 0 || part.sources.length > 0;
  return (
    <details class={`tool ${part.status}`} open={isRunning || part.images.length > 0}>
      <summary>
        <span class="tool-icon">
          <Icon name={isCode ? 'code' : part.name === 'browser' ? iconOf(part) : 'tool'} />
        </span>
        <span class="tool-name">{titleOf(part)}</span>
        <span class="tool-state">{stateOf(part)}</span>
        {isRunning ? <span class="dots" aria-hidden="true" /> : <Icon name="down" />}
      </summary>
      {hasBody && (
        <div class="tool-body">
          {part.input !== '' &&
            (isCode ? <Code text={part.input} language="python" /> : <Plain text={part.input} label={t('input')} />)}
          {part.sources.length > 0 && (
            <ul class="results">
              {part.sources.map(({ title, url }, i) => (
                <li key={i}>
                  <SourceLink title={title} url={url} />
                </li>
              ))}
            </ul>
          )}
          {part.output !== null && part.output !== '' && part.sources.length === 0 && (
            <Plain text={part.output} label={t('output')} />
          )}
          {part.images.map((url) => (
            <img key={url} src={url} alt={part.name} />
          ))}
        </div>
      )}
    </details>
  );
}

function Plain({ text, label }: { text: string; label: string }) {
  return (
    <div class="plain">
      <p class="label">{label}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre tabIndex={0}>{text.length > MOST_OUTPUT ? `${text.slice(0, MOST_OUTPUT)}…` : text}</pre>
    </div>
  );
}

function titleOf({ name, status, action }: ToolPart): string {
  if (name === 'python') return t(status === 'running' ? 'runsCode' : 'ranCode');
  switch (action?.kind) {
    case 'search':
      return t('searched', action.text);
    case 'open':
      return t('opened', action.text);
    case 'find':
      return t('found', action.text);
    default:
      return t('called', name);
  }
}

function stateOf({ status, sources }: ToolPart): string {
  if (status === 'running') return t('running');
  if (status === 'failed') return t('toolFailed');
  return sources.length > 0 ? t('results', sources.length) : t('done');
}

function iconOf({ action }: ToolPart): 'search' | 'page' {
  return action?.kind === 'open' ? 'page' : 'search';
}
