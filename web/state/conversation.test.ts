import { describe, expect, it } from 'vitest';
import {
  type AnswerNode,
  add,
  choose,
  newConversation,
  path,
  readExport,
  siblings,
  titleOf,
  toMarkdown,
  type UserNode,
} from './conversation.ts';

const user = (id: string, parent: string | null, text = id): UserNode => ({ id, parent, role: 'user', text });
const answer = (id: string, parent: string): AnswerNode => ({
  ...{ id, parent, role: 'assistant', effort: 'low', output: [], end: 'complete', error: null, figures: null },
  parts: [{ type: 'text', id: `${id}-t`, text: `said ${id}`, phase: '', citations: [], isOpen: false }],
});

const grown = [user('q1', null, 'First?'), answer('a1', 'q1'), user('q2', 'a1'), answer('a2', 'q2'), answer('a3', 'q2')]
  .concat([user('q3', 'a1')])
  .reduce((conversation, node) => add(conversation, node, 1), newConversation('Be kind.', 0));

describe('a conversation', () => {
  it('shows the path to its leaf, and keeps every branch', () => {
    expect(path(grown).map(({ id }) => id)).toEqual(['q1', 'a1', 'q3']);
    expect(siblings(grown, grown.nodes['q3']!).map(({ id }) => id)).toEqual(['q2', 'q3']);
    const other = choose(grown, grown.nodes['q2']!);
    expect(path(other).map(({ id }) => id)).toEqual(['q1', 'a1', 'q2', 'a3']);
    expect(path(choose(other, other.nodes['a2']!)).at(-1)?.id).toBe('a2');
  });

  it('is named after its first question', () => {
    expect(grown.title).toBe('First?');
    expect(titleOf('one\ntwo')).toBe('one');
    expect(titleOf('word '.repeat(30))).toMatch(/^word( word)*…$/);
    expect(Array.from(titleOf('👩‍🚀'.repeat(100))).length).toBeLessThanOrEqual(61);
  });

  it('survives a damaged record', () => {
    const looped = { ...grown, nodes: { x: user('x', 'y'), y: answer('y', 'x') }, leaf: 'x' };
    expect(path(looped).length).toBeGreaterThan(0);
    expect(path({ ...grown, leaf: 'gone' })).toEqual([]);
  });

  it('goes out and comes in again', () => {
    expect(readExport(JSON.stringify({ conversations: [grown] }))).toEqual([grown]);
    expect(toMarkdown(grown)).toContain('## system\n\nBe kind.');
    for (const bad of ['', '[]', '{"conversations":[1]}', '{"conversations":[{"id":1}]}', '{"conversations":{}}'])
      expect(() => readExport(bad), bad).toThrow();
    const hostile = { ...grown, nodes: { a: { id: 'a', parent: null, role: 'admin' } } };
    expect(() => readExport(JSON.stringify({ conversations: [hostile] }))).toThrow('conversation 1');
  });
});
