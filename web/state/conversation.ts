// A conversation as a tree: every node is one message of one side, and an edited question or a retried answer is a
// sibling of the old one, so nothing that was written is ever lost. What is on screen is the path from the root to `leaf`.
// Pure functions over plain objects, as they lie in the database. Next: chat.ts, which grows the tree.

/** Part of an answer, in the order it came. Items keep what the server needs to recognise its own tokens again. */
export type Part =
  | {
      readonly type: 'reasoning';
      readonly id: string;
      readonly text: string;
      readonly ms: number;
      readonly isOpen: boolean;
    }
  | {
      readonly type: 'text';
      readonly id: string;
      readonly text: string;
      readonly phase: string;
      readonly citations: readonly Citation[];
      /** That tools made; the server keeps them for a while. Absent in old conversations. */
      readonly files?: readonly MadeFile[];
      readonly isOpen: boolean;
    }
  | ToolPart;

export interface ToolPart {
  readonly type: 'tool';
  readonly id: string;
  readonly name: string;
  readonly input: string;
  readonly output: string | null;
  readonly status: 'running' | 'done' | 'failed';
  readonly images: readonly string[]; // data: addresses
  /** What a browser was asked for. */
  readonly action?: BrowserAction;
  readonly sources: readonly { readonly title: string; readonly url: string }[];
}

export interface BrowserAction {
  readonly kind: 'search' | 'open' | 'find';
  /** Words that were looked for, or the title of what was opened. */
  readonly text: string;
  readonly url: string;
}

export interface MadeFile {
  readonly containerId: string;
  readonly id: string;
  readonly name: string;
}

export interface Citation {
  readonly title: string;
  readonly url: string;
  readonly start: number;
  readonly end: number;
}

export interface Figures {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  /** Generation time without the prompt's. */
  readonly decodeMs: number;
}

export interface UserNode {
  readonly id: string;
  readonly parent: string | null;
  readonly role: 'user';
  readonly text: string;
}

export interface AnswerNode {
  readonly id: string;
  readonly parent: string;
  readonly role: 'assistant';
  readonly parts: readonly Part[];
  readonly effort: Effort;
  /** As the server sent it: given back in later turns, so that it reads only what is new. */
  readonly output: readonly Readonly<Record<string, unknown>>[];
  readonly end: 'open' | 'complete' | 'stopped' | 'length' | 'error';
  readonly error: string | null;
  readonly figures: Figures | null;
}

export type Node = UserNode | AnswerNode;
export type Effort = 'low' | 'medium' | 'high';

export interface Conversation {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly system: string;
  readonly nodes: Readonly<Record<string, Node>>;
  readonly leaf: string | null;
}

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, '0')).join('');
}

export function newConversation(system: string, now: number): Conversation {
  return { id: newId(), title: '', createdAt: now, changedAt: now, system, nodes: {}, leaf: null };
}

/** From the first message to the leaf. */
export function path(conversation: Conversation, leaf: string | null = conversation.leaf): Node[] {
  const nodes: Node[] = [];
  for (let id = leaf; id !== null; ) {
    const node: Node | undefined = conversation.nodes[id];
    if (node === undefined || nodes.length > 100_000) break; // a damaged record
    nodes.push(node);
    id = node.parent;
  }
  return nodes.reverse();
}

/** Nodes with the same parent, oldest first. */
export function siblings(conversation: Conversation, node: Node): Node[] {
  return Object.values(conversation.nodes).filter(({ parent, role }) => parent === node.parent && role === node.role);
}

/** Puts a node in and makes it the leaf. */
export function add(conversation: Conversation, node: Node, now: number): Conversation {
  const title = conversation.title === '' && node.role === 'user' ? titleOf(node.text) : conversation.title;
  const nodes = { ...conversation.nodes, [node.id]: node };
  return { ...conversation, title, nodes, leaf: node.id, changedAt: now };
}

export function replace(conversation: Conversation, node: Node, now: number): Conversation {
  return { ...conversation, nodes: { ...conversation.nodes, [node.id]: node }, changedAt: now };
}

/** Shows another branch: the given node and, below it, the newest children. */
export function choose(conversation: Conversation, node: Node): Conversation {
  let leaf = node.id;
  for (;;) {
    const children = Object.values(conversation.nodes).filter(({ parent }) => parent === leaf);
    const newest = children.at(-1);
    if (newest === undefined) return { ...conversation, leaf };
    leaf = newest.id;
  }
}

/** The first line, cut at a word. */
export function titleOf(text: string): string {
  const line = text.trim().split('\n', 1)[0]!.trim();
  const points = Array.from(line);
  if (points.length <= 60) return line;
  const cut = points.slice(0, 60).join('');
  return `${cut.replace(/\s+\S{0,20}$/u, '')}…`;
}

export function answerText(node: AnswerNode): string {
  return node.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
}

/** As a file to keep or to read elsewhere. */
export function toMarkdown(conversation: Conversation): string {
  const lines = [`# ${conversation.title || 'gptoss'}`, ''];
  if (conversation.system !== '') lines.push('## system', '', conversation.system, '');
  for (const node of path(conversation)) {
    lines.push(`## ${node.role}`, '', node.role === 'user' ? node.text : answerText(node), '');
  }
  return lines.join('\n');
}

/** Reads exported conversations; throws with a reason. Everything in the file is hostile. */
export function readExport(text: string): Conversation[] {
  const data: unknown = JSON.parse(text);
  const list = (data as { conversations?: unknown } | null)?.conversations;
  if (!Array.isArray(list)) throw new Error('the file holds no conversations');
  return list.map((item, i) => {
    const { id, title, createdAt, changedAt, system, nodes, leaf } = (item ?? {}) as Record<string, unknown>;
    const isWhole =
      typeof id === 'string' &&
      typeof title === 'string' &&
      typeof createdAt === 'number' &&
      typeof changedAt === 'number' &&
      typeof system === 'string' &&
      typeof nodes === 'object' &&
      nodes !== null &&
      (leaf === null || typeof leaf === 'string') &&
      Object.values(nodes).every(isNode);
    if (!isWhole) throw new Error(`conversation ${i + 1} is damaged`);
    return { id, title, createdAt, changedAt, system, nodes: nodes as Record<string, Node>, leaf };
  });
}

function isNode(value: unknown): value is Node {
  const node = (value ?? {}) as Record<string, unknown>;
  if (typeof node['id'] !== 'string' || !(node['parent'] === null || typeof node['parent'] === 'string')) return false;
  if (node['role'] === 'user') return typeof node['text'] === 'string';
  return node['role'] === 'assistant' && Array.isArray(node['parts']) && Array.isArray(node['output']);
}
