// The page's own words, English and Japanese. `t` reads the language's signal, so what uses it is drawn again on a change.

import { computed, effect } from '@preact/signals';
import { languageChoice } from './state/settings.ts';

const english = {
  newChat: 'New chat',
  chats: 'Conversations',
  noChats: 'Conversations are kept in this browser only.',
  search: 'Search conversations',
  settings: 'Settings',
  close: 'Close',
  menu: 'Menu',
  send: 'Send',
  stop: 'Stop',
  retry: 'Answer again',
  edit: 'Edit',
  copy: 'Copy',
  copied: 'Copied',
  rename: 'Rename',
  remove: 'Delete',
  removeSure: 'Delete this conversation?',
  cancel: 'Cancel',
  saveEdit: 'Ask again',
  previous: 'Previous version',
  next: 'Next version',
  ask: 'Ask gpt-oss …',
  you: 'You',
  answer: 'Answer',
  effort: 'Reasoning',
  low: 'Low',
  medium: 'Medium',
  high: 'High',
  effortLow: 'Short thought, fast answer',
  effortMedium: 'Balanced',
  effortHigh: 'Long thought, best answer',
  thinking: 'Thinking …',
  thought: 'Thought for {0}',
  tokens: '{0} tokens',
  characters: '{0} characters',
  seconds: '{0} s',
  rate: '{0} tokens/s',
  context: '{0} of {1} tokens',
  contextLabel: 'Context used',
  stopped: 'Stopped.',
  cut: 'The limit of tokens was reached.',
  failed: 'The answer broke off: {0}',
  offline: 'The server cannot be reached. It will be tried again; your conversations are safe.',
  retryNow: 'Try now',
  keyNeeded: 'This server wants an API key.',
  key: 'API key',
  save: 'Save',
  system: 'System prompt',
  systemHint: 'Instructions for this conversation; new ones start with it.',
  sampling: 'Sampling',
  temperature: 'Temperature',
  topP: 'Top-p',
  maxTokens: 'Most tokens',
  seed: 'Seed',
  serverDefault: 'server’s',
  reset: 'Reset',
  theme: 'Appearance',
  themeSystem: 'As the system',
  light: 'Light',
  dark: 'Dark',
  language: 'Language',
  tools: 'Tools',
  noTools: 'This server runs no tools.',
  data: 'Your data',
  exportAll: 'Export all',
  exportOne: 'Export as Markdown',
  importFile: 'Import',
  imported: '{0} conversations imported.',
  notImported: 'Nothing was imported: {0}',
  model: 'Model',
  models: 'Models on this machine',
  useModel: 'Use',
  inUse: 'in use',
  download: 'Download',
  downloadSure: 'Download {0} ({1}) to the server’s machine?',
  downloading: '{0} of {1}, {2}/s, {3} left',
  fits: 'fits in memory: about {0}',
  tooLarge: 'larger than memory: runs slowly from disk, about {0}',
  speed: 'reading {0}, writing {1} tokens/s (forecast)',
  switching: 'Opening the model …',
  running: 'running …',
  done: 'done',
  toolFailed: 'failed',
  input: 'Input',
  output: 'Output',
  sources: 'Sources',
  welcome: 'A gpt-oss on your own machine',
  welcomeText: 'Nothing you write leaves it.',
  tinyText:
    'This is the embedded tiny model: 2 million parameters, trained to add, compare, sort and spell. It knows nothing of the world.',
  keys: 'Enter sends, Shift+Enter starts a new line, Esc stops, Ctrl+K finds, Ctrl+Shift+O starts a new chat.',
  skip: 'Skip to the question',
  newAnswer: 'The answer is complete.',
  toEnd: 'To the end',
} as const;

export type Word = keyof typeof english;

const japanese: Record<Word, string> = {
  newChat: '新しいチャット',
  chats: '会話',
  noChats: '会話はこのブラウザーの中だけに保存されます。',
  search: '会話を検索',
  settings: '設定',
  close: '閉じる',
  menu: 'メニュー',
  send: '送信',
  stop: '停止',
  retry: 'もう一度答える',
  edit: '編集',
  copy: 'コピー',
  copied: 'コピーしました',
  rename: '名前を変更',
  remove: '削除',
  removeSure: 'この会話を削除しますか？',
  cancel: 'キャンセル',
  saveEdit: 'この内容で聞く',
  previous: '前の版',
  next: '次の版',
  ask: 'gpt-oss に聞く…',
  you: 'あなた',
  answer: '回答',
  effort: '推論',
  low: '低',
  medium: '中',
  high: '高',
  effortLow: '短く考えて速く答える',
  effortMedium: 'バランス',
  effortHigh: '長く考えて最良の答えを出す',
  thinking: '考えています…',
  thought: '{0} 考えました',
  tokens: '{0} トークン',
  characters: '{0} 文字',
  seconds: '{0} 秒',
  rate: '{0} トークン/秒',
  context: '{1} 中 {0} トークン',
  contextLabel: 'コンテキスト使用量',
  stopped: '停止しました。',
  cut: 'トークン数の上限に達しました。',
  failed: '回答が途中で切れました: {0}',
  offline: 'サーバーに接続できません。自動で再試行します。会話は失われません。',
  retryNow: '今すぐ再試行',
  keyNeeded: 'このサーバーには API キーが必要です。',
  key: 'API キー',
  save: '保存',
  system: 'システムプロンプト',
  systemHint: 'この会話への指示です。新しい会話にも使われます。',
  sampling: 'サンプリング',
  temperature: '温度',
  topP: 'Top-p',
  maxTokens: '最大トークン数',
  seed: 'シード',
  serverDefault: 'サーバーの値',
  reset: '元に戻す',
  theme: '外観',
  themeSystem: 'システムに合わせる',
  light: 'ライト',
  dark: 'ダーク',
  language: '言語',
  tools: 'ツール',
  noTools: 'このサーバーにはツールがありません。',
  data: 'データ',
  exportAll: 'すべて書き出す',
  exportOne: 'Markdown で書き出す',
  importFile: '読み込む',
  imported: '{0} 件の会話を読み込みました。',
  notImported: '読み込めませんでした: {0}',
  model: 'モデル',
  models: 'このマシンのモデル',
  useModel: '使う',
  inUse: '使用中',
  download: 'ダウンロード',
  downloadSure: '{0}（{1}）をサーバーのマシンにダウンロードしますか？',
  downloading: '{1} 中 {0}、{2}/秒、残り {3}',
  fits: 'メモリに収まります: 約 {0}',
  tooLarge: 'メモリより大きいため、ディスクから低速で動きます: 約 {0}',
  speed: '読み {0}、書き {1} トークン/秒（予測）',
  switching: 'モデルを開いています…',
  running: '実行中…',
  done: '完了',
  toolFailed: '失敗',
  input: '入力',
  output: '出力',
  sources: '出典',
  welcome: 'あなたのマシンで動く gpt-oss',
  welcomeText: '書いた内容が外に出ることはありません。',
  tinyText:
    'これは内蔵の小さなモデルです。パラメーターは 200 万で、足し算、比較、並べ替え、つづりを学びました。世の中のことは知りません。',
  keys: 'Enter で送信、Shift+Enter で改行、Esc で停止、Ctrl+K で検索、Ctrl+Shift+O で新しいチャット。',
  skip: '質問の入力へ',
  newAnswer: '回答が完了しました。',
  toEnd: '最後へ',
};

const tables = { en: english as Record<Word, string>, ja: japanese };

export const language = computed<'en' | 'ja'>(() => {
  if (languageChoice.value !== 'system') return languageChoice.value;
  return navigator.language.toLowerCase().startsWith('ja') ? 'ja' : 'en';
});

effect(() => {
  document.documentElement.lang = language.value;
});

/** A word of the page; `{0}` … are replaced by what follows. */
export function t(word: Word, ...values: readonly (string | number)[]): string {
  return tables[language.value][word].replace(/\{(\d)\}/g, (_, i: string) => String(values[Number(i)] ?? ''));
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${value.toLocaleString(language.value, { maximumFractionDigits: value < 10 && power > 0 ? 1 : 0 })} ${units[power]}`;
}

export function numberText(value: number, digits = 0): string {
  return value.toLocaleString(language.value, { maximumFractionDigits: digits });
}

export function timeText(seconds: number): string {
  if (seconds < 60) return t('seconds', numberText(seconds, seconds < 10 ? 1 : 0));
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
