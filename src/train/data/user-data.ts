// A user's JSONL file as examples to train on, with everything that is wrong or odd about it. Lines are judged by
// lint.ts; here they become tokens, so over-long conversations are found, and the file as a whole is looked at: doubles,
// reasoning levels that never occur. A file with errors gives problems and the good lines; whether to go on is the
// caller's choice.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { Message } from '../../text/harmony/messages.ts';
import { keptMessages } from '../../text/harmony/render.ts';
import { hash32 } from '../tasks/split.ts';
import { conversationExample, type Example } from './examples.ts';
import { type LintedLine, type LintProblem, lintLine } from './lint.ts';

export interface UserConversation {
  readonly line: number;
  readonly example: Example;
}

export interface PreferencePair {
  readonly line: number;
  readonly chosen: Example;
  readonly rejected: Example;
}

export interface UserData {
  readonly conversations: readonly UserConversation[];
  readonly pairs: readonly PreferencePair[];
  readonly problems: readonly LintProblem[];
  readonly lines: number; // not empty ones
  /** Lines that gave at least one example. */
  readonly good: number;
  readonly tokens: number;
  readonly learnedTokens: number;
}

export interface UserDataOptions {
  /** Longest example in tokens. */
  readonly longest: number;
}

export function readUserData(encoding: HarmonyEncoding, text: string, options: UserDataOptions): UserData {
  const problems: LintProblem[] = [];
  const conversations: UserConversation[] = [];
  const pairs: PreferencePair[] = [];
  const seen = new Map<string, number>();
  const levels = new Set<string>();
  let [lines, good] = [0, 0];
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (raw.trim() === '') continue;
    lines++;
    const line = i + 1;
    const linted = lintLine(raw, line, problems);
    if (linted === null) continue;
    const before = problems.length;
    const first = `${hash32(raw)} ${raw.length}`;
    const twin = seen.get(first);
    if (twin !== undefined) {
      problems.push({ line, code: 'duplicate', severity: 'warning', message: `the same as line ${twin}` });
    } else seen.set(first, line);
    for (const level of effortsIn(linted.messages)) levels.add(level);
    const fits = (example: Example, what: string): boolean => {
      if (example.ids.length > options.longest) {
        problems.push({
          ...{ line, code: 'length', severity: 'error' },
          message: `${what} has ${example.ids.length} tokens; expected at most ${options.longest}; shorten it, or train with a longer context`,
        });
        return false;
      }
      if (example.mask.some((learned) => learned > 0)) return true;
      problems.push({ line, code: 'empty', severity: 'error', message: `${what} has nothing that is learned` });
      return false;
    };
    if (linted.rejected !== undefined) {
      const chosen = conversationExample(encoding, linted.messages);
      const rejected = conversationExample(encoding, linted.rejected);
      if (fits(chosen, 'the chosen conversation') && fits(rejected, 'the rejected conversation')) {
        pairs.push({ line, chosen, rejected });
        good++;
      }
    } else {
      const examples = examplesOf(encoding, linted).filter((example) => fits(example, 'the conversation'));
      conversations.push(...examples.map((example) => ({ line, example })));
      if (examples.length > 0) good++;
    }
    if (problems.length > before + 1_000) break;
  }
  if (good > 0 && levels.size > 0 && levels.size < 3) {
    const missing = ['low', 'medium', 'high'].filter((level) => !levels.has(level));
    problems.push({
      ...{ line: 0, code: 'effort', severity: 'warning' },
      message: `no conversation has reasoning ${missing.join(' or ')}; a model trained on one level alone forgets the others`,
    });
  }
  let [tokens, learnedTokens] = [0, 0];
  for (const { ids, mask } of [...conversations.map(({ example }) => example), ...pairs.map(({ chosen }) => chosen)]) {
    tokens += ids.length;
    for (const learned of mask) learnedTokens += learned;
  }
  return { conversations, pairs, problems, lines, good, tokens, learnedTokens };
}

/**
 * One example with all turns learned where nothing is lost by it; else one for each turn, with what came before as
 * history: reasoning of finished turns is dropped from prompts, so it can only be learned as the last turn.
 */
function examplesOf(encoding: HarmonyEncoding, { messages }: LintedLine): Example[] {
  const isWhole = keptMessages(messages, 'turns', true).length === messages.length;
  if (isWhole) return [conversationExample(encoding, messages, { turns: 'all' })];
  const ends = messages.flatMap((message, i) => (message.role === 'user' && i > 0 ? [i] : []));
  const prefixes = [...ends.map((end) => messages.slice(0, end)), messages];
  return prefixes
    .filter((prefix) => prefix.at(-1)?.role === 'assistant')
    .map((prefix) => conversationExample(encoding, prefix));
}

function effortsIn(messages: readonly Message[]): string[] {
  return messages.flatMap(({ content }) =>
    typeof content === 'string'
      ? []
      : content.flatMap((part) => (part.type === 'system' && part.effort ? [part.effort] : [])),
  );
}
