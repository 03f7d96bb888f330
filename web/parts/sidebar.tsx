// The list of conversations: find, open, rename, delete, start a new one. A drawer on narrow screens.

import { signal } from '@preact/signals';
import { t } from '../language.ts';
import * as chat from '../state/chat.ts';
import { answerText, type Conversation } from '../state/conversation.ts';
import { Icon, IconButton } from './icons.tsx';
import { isSettingsOpen } from './settings-panel.tsx';

export const isDrawerOpen = signal(false);
const query = signal('');
const asked = signal<string | null>(null); // the conversation that is about to be deleted
const renaming = signal<string | null>(null);

export function Sidebar() {
  const list = chat.conversations.value.filter((conversation) => matches(conversation, query.value));
  const open = (id: string | null): void => {
    chat.select(id);
    isDrawerOpen.value = false;
    document.getElementById('question')?.focus();
  };
  return (
    <nav class={`sidebar ${isDrawerOpen.value ? 'open' : ''}`} aria-label={t('chats')}>
      <div class="sidebar-head">
        <span class="brand">
          <img src="./icon.svg" alt="" width={22} height={22} /> gptoss
        </span>
        <IconButton icon="close" class="narrow" label={t('close')} onClick={() => (isDrawerOpen.value = false)} />
      </div>
      <button type="button" class="button new" onClick={() => open(null)}>
        <Icon name="plus" /> {t('newChat')}
      </button>
      <input
        id="find"
        type="search"
        aria-label={t('search')}
        placeholder={t('search')}
        value={query.value}
        onInput={(event) => (query.value = event.currentTarget.value)}
      />
      <ul class="list">
        {list.map((conversation, i) => [
          groupOf(conversation) !== (i === 0 ? null : groupOf(list[i - 1]!)) && (
            <li key={groupOf(conversation)} class="group">
              {t(groupOf(conversation))}
            </li>
          ),
          <li key={conversation.id} class={conversation.id === chat.currentId.value ? 'chosen' : ''}>
            {renaming.value === conversation.id ? (
              <NameField conversation={conversation} />
            ) : (
              <button
                type="button"
                class="title"
                aria-current={conversation.id === chat.currentId.value ? 'page' : undefined}
                onClick={() => open(conversation.id)}
              >
                {conversation.title || t('newChat')}
              </button>
            )}
            {asked.value === conversation.id ? (
              <span class="sure">
                <button type="button" class="button danger" onClick={() => void chat.forget(conversation.id)}>
                  {t('remove')}
                </button>
                <button type="button" class="button" onClick={() => (asked.value = null)}>
                  {t('cancel')}
                </button>
              </span>
            ) : (
              renaming.value !== conversation.id && (
                <span class="list-actions">
                  <IconButton
                    icon="edit"
                    label={`${t('rename')}: ${conversation.title}`}
                    onClick={() => (renaming.value = conversation.id)}
                  />
                  <IconButton
                    icon="trash"
                    label={`${t('remove')}: ${conversation.title}`}
                    onClick={() => (asked.value = conversation.id)}
                  />
                </span>
              )
            )}
          </li>,
        ])}
      </ul>
      {list.length === 0 && (
        <p class="faint none">{t(chat.conversations.value.length === 0 ? 'noChats' : 'noMatches')}</p>
      )}
      <button type="button" class="button settings" onClick={() => (isSettingsOpen.value = true)}>
        <Icon name="gear" /> {t('settings')}
      </button>
    </nav>
  );
}

function NameField({ conversation: { id, title } }: { conversation: Conversation }) {
  const end = (text: string | null): void => {
    if (renaming.value !== id) return; // Enter ended it already
    renaming.value = null;
    if (text !== null) chat.rename(id, text);
  };
  return (
    <input
      class="title"
      aria-label={t('rename')}
      value={title}
      ref={(element) => {
        if (element !== null && document.activeElement !== element) element.select();
      }}
      onKeyDown={(event) => {
        if (event.isComposing) return;
        if (event.key === 'Enter') end(event.currentTarget.value);
        if (event.key === 'Escape') end(null);
      }}
      onBlur={(event) => end(event.currentTarget.value)}
    />
  );
}

function groupOf({ changedAt }: Conversation): 'today' | 'thisWeek' | 'older' {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (changedAt >= midnight) return 'today';
  return changedAt >= midnight - 6 * 86_400_000 ? 'thisWeek' : 'older';
}

function matches(conversation: Conversation, text: string): boolean {
  const wanted = text.trim().toLocaleLowerCase();
  if (wanted === '') return true;
  if (conversation.title.toLocaleLowerCase().includes(wanted)) return true;
  return Object.values(conversation.nodes).some((node) =>
    (node.role === 'user' ? node.text : answerText(node)).toLocaleLowerCase().includes(wanted),
  );
}
