// Conversations in the browser's own database: they leave this machine only as a file that the user exports. Writes go in
// order. Where there is no database (private windows of some browsers), conversations last as long as the page.

import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { Conversation } from './conversation.ts';

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation; indexes: { changedAt: number } };
}

const memory = new Map<string, Conversation>();
let opened: Promise<IDBPDatabase<Schema> | null> | null = null;

function database(): Promise<IDBPDatabase<Schema> | null> {
  opened ??= openDB<Schema>('gptoss', 1, {
    upgrade(db) {
      db.createObjectStore('conversations', { keyPath: 'id' }).createIndex('changedAt', 'changedAt');
    },
  }).catch(() => null);
  return opened;
}

/** All conversations, latest first. */
export async function loadAll(): Promise<Conversation[]> {
  const db = await database();
  const all = db === null ? [...memory.values()] : await db.getAllFromIndex('conversations', 'changedAt');
  return all.sort((a, b) => b.changedAt - a.changedAt);
}

export async function save(conversation: Conversation): Promise<void> {
  const db = await database();
  if (db === null) memory.set(conversation.id, conversation);
  else await db.put('conversations', conversation);
}

export async function remove(id: string): Promise<void> {
  const db = await database();
  if (db === null) memory.delete(id);
  else await db.delete('conversations', id);
}
