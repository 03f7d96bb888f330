// Everything that can be set, in one dialog: system prompt, sampling, tools, appearance, language, the user's data, models.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { t, type Word } from '../language.ts';
import * as chat from '../state/chat.ts';
import { readExport, toMarkdown } from '../state/conversation.ts';
import {
  languageChoice,
  noSampling,
  type Sampling,
  sampling,
  systemPrompt,
  theme,
  toolsOff,
} from '../state/settings.ts';
import { IconButton } from './icons.tsx';
import { Models } from './models.tsx';

export const isSettingsOpen = signal(false);
const message = signal('');

export function SettingsPanel() {
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = isSettingsOpen.value;
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  if (!isOpen) return null;
  return (
    <dialog
      ref={dialog}
      class="settings-panel"
      aria-label={t('settings')}
      onClose={() => (isSettingsOpen.value = false)}
    >
      <header>
        <h2>{t('settings')}</h2>
        <IconButton icon="close" label={t('close')} onClick={() => (isSettingsOpen.value = false)} />
      </header>
      <section>
        <label for="system">{t('system')}</label>
        <textarea
          id="system"
          rows={4}
          value={chat.current.value?.system ?? systemPrompt.value}
          onInput={(event) => chat.setSystem(event.currentTarget.value)}
        />
        <p class="faint">{t('systemHint')}</p>
      </section>
      <section>
        <h3>{t('sampling')}</h3>
        <div class="grid">
          <Figure name="temperature" label="temperature" min={0} max={2} step={0.1} />
          <Figure name="topP" label="topP" min={0.01} max={1} step={0.01} />
          <Figure name="maxTokens" label="maxTokens" min={1} max={1_000_000} step={1} />
          <Figure name="seed" label="seed" min={0} max={2 ** 53 - 1} step={1} />
        </div>
        <button type="button" class="button" onClick={() => (sampling.value = noSampling)}>
          {t('reset')}
        </button>
      </section>
      <section>
        <h3>{t('tools')}</h3>
        {chat.info.value?.tools.length ? (
          chat.info.value.tools.map((name) => <ToolSwitch key={name} name={name} />)
        ) : (
          <p class="faint">{t('noTools')}</p>
        )}
      </section>
      <section class="grid">
        <label>
          {t('theme')}
          <select
            value={theme.value}
            onChange={(event) => (theme.value = event.currentTarget.value as 'system' | 'light' | 'dark')}
          >
            <option value="system">{t('themeSystem')}</option>
            <option value="light">{t('light')}</option>
            <option value="dark">{t('dark')}</option>
          </select>
        </label>
        <label>
          {t('language')}
          <select
            value={languageChoice.value}
            onChange={(event) => (languageChoice.value = event.currentTarget.value as 'system' | 'en' | 'ja')}
          >
            <option value="system">{t('themeSystem')}</option>
            <option value="en" lang="en">
              English
            </option>
            <option value="ja" lang="ja">
              日本語
            </option>
          </select>
        </label>
      </section>
      {chat.info.value?.hasModels && (
        <section>
          <h3>{t('models')}</h3>
          <Models />
        </section>
      )}
      <section>
        <h3>{t('data')}</h3>
        <div class="row">
          <button type="button" class="button" onClick={exportAll}>
            {t('exportAll')}
          </button>
          {chat.current.value !== null && (
            <button type="button" class="button" onClick={exportOne}>
              {t('exportOne')}
            </button>
          )}
          <label class="button">
            {t('importFile')}
            <input
              type="file"
              class="hidden"
              accept="application/json,.json"
              onChange={(event) => void importFile(event.currentTarget)}
            />
          </label>
        </div>
        <p role="status">{message.value}</p>
      </section>
      <p class="faint">{t('keys')}</p>
      <p class="faint">gptoss {chat.info.value?.version ?? ''} · Apache-2.0</p>
    </dialog>
  );
}

function Figure({
  name,
  label,
  ...range
}: {
  name: keyof Sampling;
  label: Word;
  min: number;
  max: number;
  step: number;
}) {
  const value = sampling.value[name];
  return (
    <label>
      {t(label)}
      <input
        type="number"
        {...range}
        value={value ?? ''}
        placeholder={t('serverDefault')}
        onInput={(event) => {
          const { value: text, valueAsNumber } = event.currentTarget;
          const isRight =
            text === '' || (Number.isFinite(valueAsNumber) && valueAsNumber >= range.min && valueAsNumber <= range.max);
          event.currentTarget.setCustomValidity(isRight ? '' : `${range.min}…${range.max}`);
          if (isRight) sampling.value = { ...sampling.value, [name]: text === '' ? null : valueAsNumber };
        }}
      />
    </label>
  );
}

function ToolSwitch({ name }: { name: string }) {
  const isOff = toolsOff.value.includes(name);
  return (
    <label class="switch">
      <input
        type="checkbox"
        checked={!isOff}
        onChange={() =>
          (toolsOff.value = isOff ? toolsOff.value.filter((one) => one !== name) : [...toolsOff.value, name])
        }
      />
      {name}
    </label>
  );
}

function exportAll(): void {
  const text = JSON.stringify(
    { format: 'gptoss-conversations', version: 1, conversations: chat.conversations.value },
    null,
    1,
  );
  download('gptoss-conversations.json', 'application/json', text);
}

function exportOne(): void {
  if (chat.current.value !== null) download('gptoss-conversation.md', 'text/markdown', toMarkdown(chat.current.value));
}

function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function importFile(input: HTMLInputElement): Promise<void> {
  const file = input.files?.[0];
  if (file === undefined) return;
  try {
    if (file.size > 256 * 2 ** 20) throw new Error('> 256 MB');
    const list = readExport(await file.text());
    await chat.takeIn(list);
    message.value = t('imported', list.length);
  } catch (error) {
    message.value = t('notImported', error instanceof Error ? error.message : String(error));
  }
  input.value = '';
}
