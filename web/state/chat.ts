// Owns: the conversations and what happens to them: ask, stop, retry, edit, branch, delete, import. One answer is written at
// a time. The answer is saved while it is written, so a closed tab loses a second at the most, and whatever ends it
// leaves what came. Refuses: to know how anything looks. Next: conversation.ts, ../api/responses.ts.

import { computed, signal } from '@preact/signals';
import { streamAnswer } from '../api/responses.ts';
import { forgetTools, getInfo, ServerError, type ServerInfo } from '../api/server.ts';
import {
  type AnswerNode,
  add,
  type Conversation,
  choose,
  type Node,
  newConversation,
  newId,
  path,
  replace,
  type UserNode,
} from './conversation.ts';
import * as database from './database.ts';
import { effort, sampling, systemPrompt, toolsOff } from './settings.ts';

export const conversations = signal<readonly Conversation[]>([]);
export const currentId = signal<string | null>(null);
export const info = signal<ServerInfo | null>(null);
/** Why the server cannot be asked now; null: it answers. */
export const offline = signal<ServerError | null>(null);
export const isAnswering = signal(false);
/** What is being written, apart from the conversation: it changes with every frame. */
export const live = signal<AnswerNode | null>(null);
/** Tokens per second and so on of the answer that is being written. */
export const current = computed(() => conversations.value.find(({ id }) => id === currentId.value) ?? null);

let stopping: AbortController | null = null;
let loading: Promise<void> | null = null;

/** Reads the database and finds the server; call once. */
export async function start(): Promise<void> {
  loading = load();
  await loading;
  await findServer();
  setInterval(() => {
    if (offline.value !== null && offline.value.status === 0) void findServer();
  }, 3000);
}

async function load(): Promise<void> {
  // Where they cannot be read, new ones can be had all the same.
  conversations.value = (await database.loadAll().catch(() => [])).map(closeOpenAnswers);
  const last = location.hash.slice(1);
  if (conversations.value.some(({ id }) => id === last)) currentId.value = last;
}

export async function findServer(): Promise<void> {
  try {
    info.value = await getInfo();
    offline.value = null;
  } catch (error) {
    offline.value = error instanceof ServerError ? error : new ServerError(0, String(error));
  }
}

export function select(id: string | null): void {
  currentId.value = id;
  history.replaceState(null, '', id === null ? location.pathname : `#${id}`);
}

/** Asks in the current conversation, or in a new one. */
export async function send(text: string): Promise<void> {
  await loading; // who asks before the earlier conversations are here would lose theirs to them
  if (isAnswering.value || text.trim() === '') return;
  let conversation = current.value;
  if (conversation === null) {
    conversation = newConversation(systemPrompt.value, Date.now());
    conversations.value = [conversation, ...conversations.value];
    select(conversation.id);
  }
  await askWith(conversation, text, conversation.leaf);
}

/** The question in other words: a branch beside the old one. */
export async function edit(node: UserNode, text: string): Promise<void> {
  if (isAnswering.value || current.value === null || text.trim() === '') return;
  await askWith(current.value, text, node.parent);
}

/** Another answer to the same question. */
export async function retry(node: AnswerNode): Promise<void> {
  if (isAnswering.value || current.value === null) return;
  await answer({ ...current.value, leaf: node.parent });
}

export function stop(): void {
  stopping?.abort();
}

export function branch(node: Node): void {
  if (current.value !== null && !isAnswering.value) put(choose(current.value, node));
}

export async function forget(id: string): Promise<void> {
  if (isAnswering.value && currentId.value === id) stop();
  conversations.value = conversations.value.filter((one) => one.id !== id);
  if (currentId.value === id) select(null);
  await database.remove(id);
  if ((info.value?.tools.length ?? 0) > 0) forgetTools(id).catch(() => undefined); // it forgets by itself, later
}

export function rename(id: string, title: string): void {
  const one = conversations.value.find((conversation) => conversation.id === id);
  if (one !== undefined && title.trim() !== '') put({ ...one, title: title.trim() });
}

export function setSystem(text: string): void {
  systemPrompt.value = text;
  if (current.value !== null) put({ ...current.value, system: text });
}

/** Takes in exported conversations; one that is here already gets an id of its own. */
export async function takeIn(list: readonly Conversation[]): Promise<void> {
  await loading;
  for (const one of list) {
    const isHere = conversations.value.some(({ id }) => id === one.id);
    const fresh = closeOpenAnswers(isHere ? { ...one, id: newId() } : one);
    conversations.value = [fresh, ...conversations.value];
    void database.save(fresh);
  }
}

async function askWith(conversation: Conversation, text: string, parent: string | null): Promise<void> {
  await answer(add(conversation, { id: newId(), parent, role: 'user', text }, Date.now()));
}

/** Answers the user's message at the leaf. */
async function answer(conversation: Conversation): Promise<void> {
  const asked = path(conversation);
  let node: AnswerNode = {
    ...{ id: newId(), parent: conversation.leaf!, role: 'assistant', parts: [], effort: effort.value },
    ...{ output: [], end: 'open', error: null, figures: null },
  };
  put(add(conversation, node, Date.now()));
  live.value = node;
  isAnswering.value = true;
  stopping = new AbortController();
  const { signal } = stopping;
  let savedAt = Date.now();
  try {
    // Whoever asks while the page is still opening asks with the server's tools all the same.
    if (info.value === null) await findServer();
    const request = {
      model: info.value?.model ?? 'gpt-oss',
      key: conversation.id,
      system: conversation.system,
      path: asked,
      effort: effort.value,
      sampling: sampling.value,
      tools: (info.value?.tools ?? []).filter((name) => !toolsOff.value.includes(name)),
    };
    for await (const progress of streamAnswer(request, signal)) {
      node = { ...node, ...progress };
      live.value = node;
      if (Date.now() - savedAt > 1000) {
        savedAt = Date.now();
        keep(conversation.id, node);
      }
    }
    offline.value = null;
  } catch (error) {
    const end = signal.aborted ? 'stopped' : 'error';
    node = { ...node, end, error: signal.aborted ? null : error instanceof Error ? error.message : String(error) };
    if (error instanceof ServerError && (error.status === 0 || error.status === 401)) offline.value = error;
  } finally {
    node = { ...node, parts: node.parts.map(closed) };
    keep(conversation.id, node);
    live.value = null;
    isAnswering.value = false;
    stopping = null;
  }
}

function closed(part: AnswerNode['parts'][number]): AnswerNode['parts'][number] {
  if (part.type !== 'tool') return { ...part, isOpen: false };
  return part.status === 'running' ? { ...part, status: 'failed' } : part;
}

/** Saves an answer in its conversation, wherever that is by now. */
function keep(id: string, node: AnswerNode): void {
  const conversation = conversations.value.find((one) => one.id === id);
  if (conversation !== undefined) put(replace(conversation, node, Date.now()));
}

function put(conversation: Conversation): void {
  const rest = conversations.value.filter(({ id }) => id !== conversation.id);
  conversations.value = [conversation, ...rest].sort((a, b) => b.changedAt - a.changedAt);
  void database.save(conversation);
}

/** Answers that a closed tab left open. */
function closeOpenAnswers(conversation: Conversation): Conversation {
  const open = Object.values(conversation.nodes).filter((node) => node.role === 'assistant' && node.end === 'open');
  return open.reduce((result: Conversation, node) => {
    const answer = node as AnswerNode;
    return replace(result, { ...answer, end: 'stopped', parts: answer.parts.map(closed) }, result.changedAt);
  }, conversation);
}
