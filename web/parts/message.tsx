// One message on the screen, with what can be done with it. Reasoning lies folded in a quiet strip; calls of tools are cards
// ; citations are links. Next: tool-card.tsx, ../markdown/markdown.tsx.

import { memo } from 'preact/compat';
import { useState } from 'preact/hooks';
import { numberText, t, timeText } from '../language.ts';
import { Markdown } from '../markdown/markdown.tsx';
import * as chat from '../state/chat.ts';
import { type AnswerNode, answerText, type Node, type Part, siblings, type UserNode } from '../state/conversation.ts';
import { Icon, IconButton } from './icons.tsx';
import { Files, Sources } from './sources.tsx';
import { ToolCard } from './tool-card.tsx';

export const Message = memo(function Message({ node, isLive }: { node: Node; isLive: boolean }) {
  return node.role === 'user' ? <Question node={node} /> : <Answer node={node} isLive={isLive} />;
});

function Question({ node }: { node: UserNode }) {
  const [draft, setDraft] = useState<string | null>(null);
  const save = (): void => {
    const text = draft ?? '';
    setDraft(null);
    void chat.edit(node, text);
  };
  return (
    <article class="message user" aria-label={t('you')}>
      {draft === null ? (
        <div class="bubble">{node.text}</div>
      ) : (
        <form
          class="editing"
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <textarea
            aria-label={t('edit')}
            value={draft}
            rows={Math.min(12, draft.split('\n').length + 1)}
            ref={(element) => {
              if (element !== null && document.activeElement !== element) element.focus();
            }}
            onInput={(event) => setDraft(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape') setDraft(null);
              if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                save();
              }
            }}
          />
          <div class="row">
            <button type="submit" class="button main">
              {t('saveEdit')}
            </button>
            <button type="button" class="button" onClick={() => setDraft(null)}>
              {t('cancel')}
            </button>
          </div>
        </form>
      )}
      <div class="actions">
        <Branches node={node} />
        <IconButton
          icon="edit"
          label={t('edit')}
          disabled={chat.isAnswering.value}
          onClick={() => setDraft(node.text)}
        />
        <CopyButton text={() => node.text} />
      </div>
    </article>
  );
}

function Answer({ node, isLive }: { node: AnswerNode; isLive: boolean }) {
  const isWaiting = isLive && node.parts.length === 0;
  return (
    <article class="message answer" aria-label={t('answer')} aria-busy={isLive}>
      {isWaiting && (
        <p class="waiting" role="status">
          <span class="dots" aria-hidden="true" /> {t('thinking')}
        </p>
      )}
      {node.parts.map((part) => (
        <PartView key={part.id} part={part} isLive={isLive} />
      ))}
      {node.end === 'stopped' && <p class="notice">{t('stopped')}</p>}
      {node.end === 'length' && <p class="notice">{t('cut')}</p>}
      {node.end === 'error' && (
        <p class="notice error" role="alert">
          {t('failed', node.error ?? '')}
        </p>
      )}
      {!isLive && (
        <div class="actions">
          <Branches node={node} />
          <IconButton
            icon="copy"
            label={t('copy')}
            onClick={() => void navigator.clipboard?.writeText(answerText(node))}
          />
          <IconButton
            icon="retry"
            label={t('retry')}
            disabled={chat.isAnswering.value}
            onClick={() => void chat.retry(node)}
          />
          <FiguresView node={node} />
        </div>
      )}
    </article>
  );
}

function PartView({ part, isLive }: { part: Part; isLive: boolean }) {
  if (part.type === 'reasoning') return <Reasoning part={part} isLive={isLive} />;
  if (part.type === 'tool') return <ToolCard part={part} />;
  return (
    <>
      <Markdown text={part.text} isOpen={part.isOpen && isLive} />
      {!(part.isOpen && isLive) && part.citations.length > 0 && <Sources links={part.citations} />}
      {part.files !== undefined && part.files.length > 0 && <Files files={part.files} />}
    </>
  );
}

function Reasoning({ part, isLive }: { part: Part & { type: 'reasoning' }; isLive: boolean }) {
  const [isShown, setShown] = useState(false);
  if (part.text === '' && !part.isOpen) return null;
  const isThinking = part.isOpen && isLive;
  const label = isThinking ? t('thinking') : t('thought', timeText(Math.max(100, part.ms) / 1000));
  return (
    <details class="reasoning" onToggle={(event) => setShown(event.currentTarget.open)}>
      <summary>
        {isThinking ? <span class="dots" aria-hidden="true" /> : <Icon name="thought" />}
        {label} <span class="faint">· {t('characters', numberText(part.text.length))}</span>
        <Icon name="down" />
      </summary>
      {isShown && (
        <div class="reasoning-text">
          <Markdown text={part.text} isOpen={isThinking} />
        </div>
      )}
    </details>
  );
}

function FiguresView({ node: { figures } }: { node: AnswerNode }) {
  if (figures === null) return null;
  const rate = figures.decodeMs > 0 ? (1000 * (figures.outputTokens - 1)) / figures.decodeMs : 0;
  return (
    <span class="figures">
      {t('tokens', numberText(figures.outputTokens))}
      {rate > 0 && ` · ${t('rate', numberText(rate, 1))}`}
    </span>
  );
}

/** Goes through the versions of a message. */
function Branches({ node }: { node: Node }) {
  const conversation = chat.current.value;
  if (conversation === null) return null;
  const all = siblings(conversation, node);
  if (all.length < 2) return null;
  const at = all.findIndex(({ id }) => id === node.id);
  const isBusy = chat.isAnswering.value;
  return (
    <span class="branches">
      <IconButton
        icon="left"
        label={t('previous')}
        disabled={isBusy || at <= 0}
        onClick={() => chat.branch(all[at - 1]!)}
      />
      <span>
        {at + 1}/{all.length}
      </span>
      <IconButton
        icon="right"
        label={t('next')}
        disabled={isBusy || at >= all.length - 1}
        onClick={() => chat.branch(all[at + 1]!)}
      />
    </span>
  );
}

function CopyButton({ text }: { text: () => string }) {
  return <IconButton icon="copy" label={t('copy')} onClick={() => void navigator.clipboard?.writeText(text())} />;
}
