// The page put together: list of conversations, the open one, where questions are written; and the keys that work everywhere.

import { useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { language, t } from './language.ts';
import { copyFence } from './markdown/markdown.tsx';
import { Composer, draft } from './parts/composer.tsx';
import { DocumentView, openLocalLink } from './parts/document.tsx';
import { IconButton } from './parts/icons.tsx';
import { Message } from './parts/message.tsx';
import { isSettingsOpen, SettingsPanel } from './parts/settings-panel.tsx';
import { isDrawerOpen, Sidebar } from './parts/sidebar.tsx';
import * as chat from './state/chat.ts';
import { path } from './state/conversation.ts';
import { apiKey, theme } from './state/settings.ts';

export function App() {
  useSignalEffect(() => {
    document.documentElement.dataset['theme'] = theme.value;
  });
  useEffect(() => {
    document.addEventListener('keydown', globalKeys);
    document.addEventListener('click', copyFence);
    document.addEventListener('click', openLocalLink);
    return () => {
      document.removeEventListener('keydown', globalKeys);
      document.removeEventListener('click', copyFence);
      document.removeEventListener('click', openLocalLink);
    };
  }, []);
  return (
    <>
      <a class="skip" href="#question">
        {t('skip')}
      </a>
      <Sidebar />
      {isDrawerOpen.value && (
        <button type="button" class="shade" aria-label={t('close')} onClick={() => (isDrawerOpen.value = false)} />
      )}
      <main>
        <header class="top">
          <IconButton icon="menu" class="narrow" label={t('menu')} onClick={() => (isDrawerOpen.value = true)} />
          <h1>{chat.current.value?.title || 'gptoss'}</h1>
          <button
            type="button"
            class="chip"
            onClick={() => (isSettingsOpen.value = true)}
            aria-label={`${t('model')}: ${chat.info.value?.model ?? '…'}`}
          >
            {chat.info.value?.model ?? '…'}
          </button>
        </header>
        <Trouble />
        <Messages />
        <Composer />
      </main>
      <SettingsPanel />
      <DocumentView />
    </>
  );
}

function globalKeys(event: KeyboardEvent): void {
  const isCommand = event.ctrlKey || event.metaKey;
  if (event.key === 'Escape' && chat.isAnswering.value && !isSettingsOpen.value) chat.stop();
  else if (isCommand && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    isDrawerOpen.value = true;
    document.getElementById('find')?.focus();
  } else if (isCommand && event.shiftKey && event.key.toLowerCase() === 'o') {
    event.preventDefault();
    chat.select(null);
    document.getElementById('question')?.focus();
  }
}

/** What stands between the user and an answer. */
function Trouble() {
  const [key, setKey] = useState('');
  const problem = chat.offline.value;
  if (problem === null) return null;
  if (problem.status === 401 || problem.status === 403) {
    return (
      <form
        class="trouble"
        onSubmit={(event) => {
          event.preventDefault();
          apiKey.value = key;
          void chat.findServer();
        }}
      >
        <label for="key">{t('keyNeeded')}</label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button type="submit" class="button main">
          {t('save')}
        </button>
      </form>
    );
  }
  return (
    <div class="trouble" role="alert">
      <span>{problem.status === 0 ? t('offline') : problem.message}</span>
      <button type="button" class="button" onClick={() => void chat.findServer()}>
        {t('retryNow')}
      </button>
    </div>
  );
}

function Messages() {
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const lastTop = useRef(0);
  const [isAway, setAway] = useState(false);
  const conversation = chat.current.value;
  const live = chat.live.value;
  const nodes = conversation === null ? [] : path(conversation);
  const toEnd = (): void => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  useLayoutEffect(() => {
    isAtEnd.current = true;
    setAway(false);
    toEnd();
  }, [conversation?.id, nodes.length]);
  useEffect(() => {
    const inner = scroller.current?.firstElementChild;
    if (!inner) return;
    const watch = new ResizeObserver(() => {
      if (isAtEnd.current) toEnd();
    });
    watch.observe(inner);
    return () => watch.disconnect();
  }, []);
  return (
    <div class="frame">
      <div
        class="messages"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={conversation?.title || t('newChat')}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          // Text that grew since it was scrolled to is no reason to stay behind; going up is.
          const isNear = scrollHeight - scrollTop - clientHeight < 60;
          isAtEnd.current = isNear || (isAtEnd.current && scrollTop >= lastTop.current);
          lastTop.current = scrollTop;
          if (isAway === isAtEnd.current) setAway(!isAtEnd.current);
        }}
      >
        <div class="column">
          {nodes.length === 0 && <Welcome />}
          {nodes.map((node) => (
            <Message key={node.id} node={live?.id === node.id ? live : node} isLive={live?.id === node.id} />
          ))}
        </div>
      </div>
      {isAway && <IconButton icon="down" class="to-end" label={t('toEnd')} onClick={toEnd} />}
      <p class="hidden" role="status">
        {!chat.isAnswering.value && nodes.at(-1)?.role === 'assistant' ? t('newAnswer') : ''}
      </p>
    </div>
  );
}

const examples = {
  tiny: ['What is 412 + 509?', 'Sort 5, 3, 9, 1.', 'How do you spell banana?', '12 + 30 はいくつですか？'],
  japanese: [
    '量子もつれを高校生にもわかるように説明してください。',
    '重なった区間をまとめる TypeScript の関数とテストを書いてください。',
    '中古の自転車を買う前に確かめることは何ですか？',
    '来週の京都一日旅行の計画を立ててください。',
  ],
  large: [
    'Explain mixture-of-experts models to a web developer.',
    'Write a TypeScript function that merges overlapping intervals, with tests.',
    'What would I have to check before buying a used bicycle?',
    '量子もつれを高校生にもわかるように説明してください。',
  ],
};

function Welcome() {
  const isTiny = chat.info.value?.isTiny ?? false;
  return (
    <section class="welcome">
      <img class="mark" src="./icon.svg" alt="" width={48} height={48} />
      <h2>{t('welcome')}</h2>
      <p>{t('welcomeText')}</p>
      {isTiny && <p class="faint">{t('tinyText')}</p>}
      <div class="examples">
        {examples[isTiny ? 'tiny' : language.value === 'ja' ? 'japanese' : 'large'].map((text) => (
          <button
            key={text}
            type="button"
            class="button"
            onClick={() => {
              draft.value = text;
              document.getElementById('question')?.focus();
            }}
          >
            {text}
          </button>
        ))}
      </div>
    </section>
  );
}
