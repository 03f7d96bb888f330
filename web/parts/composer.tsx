// Where questions are written. Enter sends, except while an input method is composing (its Enter takes the word); Escape
// stops the answer. Next: ../state/chat.ts.

import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { numberText, t } from '../language.ts';
import * as chat from '../state/chat.ts';
import { type AnswerNode, type Effort, path } from '../state/conversation.ts';
import { effort } from '../state/settings.ts';
import { Icon } from './icons.tsx';

export const draft = signal('');

export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  const text = draft.value;
  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, window.innerHeight * 0.4)}px`;
  }, [text]);
  const submit = (): void => {
    if (chat.isAnswering.value || draft.value.trim() === '') return;
    const asked = draft.value;
    draft.value = '';
    void chat.send(asked);
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div class="composer-box">
        <textarea
          id="question"
          ref={field}
          rows={1}
          value={text}
          placeholder={t('ask')}
          aria-label={t('ask')}
          onInput={(event) => {
            draft.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            // keyCode 229: Safari ends the composition before it tells of the key.
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
            event.preventDefault();
            submit();
          }}
        />
        <div class="composer-row">
          <EffortSwitch />
          <ContextMeter />
          {chat.isAnswering.value ? (
            <button
              type="button"
              class="round stop"
              aria-label={t('stop')}
              title={`${t('stop')} (Esc)`}
              onClick={chat.stop}
            >
              <Icon name="stop" />
            </button>
          ) : (
            <button type="submit" class="round" aria-label={t('send')} title={t('send')} disabled={text.trim() === ''}>
              <Icon name="send" />
            </button>
          )}
        </div>
      </div>
    </form>
  );
}

const hints = { low: 'effortLow', medium: 'effortMedium', high: 'effortHigh' } as const;

function EffortSwitch() {
  return (
    <fieldset class="efforts">
      <legend class="hidden">{t('effort')}</legend>
      {(['low', 'medium', 'high'] as const).map((level: Effort) => (
        <label key={level} title={t(hints[level])}>
          <input
            type="radio"
            name="effort"
            value={level}
            checked={effort.value === level}
            onChange={() => (effort.value = level)}
          />
          <span>{t(level)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** Tokens of the conversation so far, as the last answer counted them. */
function ContextMeter() {
  const { current, info } = chat;
  if (current.value === null || info.value === null) return <span class="meter" />;
  const last = path(current.value).findLast(
    (node): node is AnswerNode => node.role === 'assistant' && node.figures !== null,
  );
  if (last?.figures == null) return <span class="meter" />;
  const used = last.figures.promptTokens + last.figures.outputTokens;
  const share = Math.min(1, used / info.value.context);
  const text = t('context', numberText(used), numberText(info.value.context));
  return (
    <span class={`meter ${share > 0.9 ? 'full' : ''}`} title={`${t('contextLabel')}: ${text}`}>
      <svg viewBox="0 0 20 20" role="img" aria-label={`${t('contextLabel')}: ${text}`}>
        <circle cx="10" cy="10" r="8" />
        <circle class="used" cx="10" cy="10" r="8" pathLength={100} stroke-dasharray={`${share * 100} 100`} />
      </svg>
      <span>{text}</span>
    </span>
  );
}
