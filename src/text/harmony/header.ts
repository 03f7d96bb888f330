// Makes the best of a message header as a model may have written it (model-spec §4.8): words in any order, markers
// doubled, missing or glued to words. Everything that carries meaning is taken; from the first word that is plain prose
// on, the text is content (`split`). It never fails and knows no tokens. Next: tolerant-parser.ts, which collects the
// header and decides when it is complete.

import { markerText } from './encoding.ts';
import type { MessageHeader, ProblemCode } from './events.ts';
import { type Role, roles } from './messages.ts';

/** A marker inside a header, at an offset of its text. */
export interface HeaderMark {
  readonly kind: 'start' | 'channel' | 'constrain';
  readonly at: number;
}

/** What came after the header text: `<|message|>`, another `<|channel|>`, or nothing that continues a header. */
export type HeaderEnd = 'message' | 'channel' | 'cut';

export interface HeaderReading {
  readonly header: MessageHeader;
  /** Text from here on is content. */
  readonly split: number;
  readonly problems: readonly ProblemCode[];
}

export interface HeaderVocabulary {
  readonly channels: readonly string[];
  readonly recipients: ReadonlySet<string>;
}

interface Word {
  readonly text: string;
  readonly at: number;
  readonly lead: HeaderMark['kind'] | null; // marker before the word
}

const roleRun = new RegExp(`^(?:${roles.join('|')})+`);
const nobody = new Set(['assistant', 'user', 'all', '']);

export function readHeader(
  text: string,
  marks: readonly HeaderMark[],
  given: Role | null,
  end: HeaderEnd,
  vocabulary: HeaderVocabulary,
): HeaderReading {
  const { channels, recipients } = vocabulary;
  const isMarked = end === 'message';
  const problems: ProblemCode[] = [];
  const words = wordsOf(text, marks, problems);
  let role = given;
  let name: string | undefined;
  let channel: string | undefined;
  let recipient: string | undefined;
  let contentType: string | undefined;
  let mayBeRole = true;
  let split = text.length;

  const cutWord = (word: Word, length: number): void => {
    if (length < word.text.length) {
      words.splice(i + 1, 0, { text: word.text.slice(length), at: word.at + length, lead: null });
    }
  };
  /** Whether nothing but meaning can follow: the end, a marker, `to=`, another role. */
  const isBeforeMeaning = (): boolean => {
    const next = words[i + 1];
    return next === undefined || isMarked || next.lead !== null || next.text.startsWith('to=');
  };

  let i = 0;
  for (; i < words.length; i++) {
    const word = words[i]!;
    if (word.lead === 'start' && i > 0) {
      // An abandoned header before a second `<|start|>`: only the newer one counts.
      [channel, recipient, contentType, name] = [undefined, undefined, undefined, undefined];
      mayBeRole = true;
    }
    if (word.lead === 'constrain') {
      const type = /^[\w.+/-]*/.exec(word.text)![0];
      contentType = markerText.constrain + type;
      if (type === '') words.splice(i + 1, 0, { ...word, lead: null });
      else cutWord(word, type.length);
      continue;
    }
    if (word.lead === 'channel') {
      mayBeRole = false;
      if (channel !== undefined) problems.push('extra-channel');
      const match = matchChannel(word.text, channels, end);
      if (match !== null) {
        channel = match.name;
        if (!match.isExact) problems.push('odd-channel');
        cutWord(word, match.length);
        continue;
      }
      problems.push(word.text.startsWith('to=') ? 'empty-channel' : 'odd-channel');
      const next = words[i + 1];
      const isAlone = next === undefined || next.lead !== null || next.text.startsWith('to=');
      if (end !== 'cut' && isAlone && /^(?!to=|json$|code$)[^{[.]{1,32}$/.test(word.text)) continue;
    }
    if (mayBeRole) {
      const run = roleRun.exec(word.text)?.[0] ?? '';
      const rest = word.text.slice(run.length);
      const known = roles.find((candidate) => run.endsWith(candidate));
      const isAllowed = known !== undefined && (given === null || word.lead === 'start' || known === given || isMarked);
      // After `<|start|>` the assistant is due, whatever follows; elsewhere the word may just begin a sentence.
      const isDue = word.lead === 'start' && known === 'assistant' && !/^[a-z'’]/.test(rest);
      const isRole = isDue || (rest === '' ? isBeforeMeaning() : isMeaning(rest, channels));
      if (isAllowed && isRole && !rest.startsWith(':')) {
        // A role given by the prompt stands, whatever the model repeats after it.
        if (given === null || word.lead === 'start') role = known;
        cutWord(word, run.length);
        continue;
      }
      if (isAllowed && isMarked && /^:[\w.-]+$/.test(rest)) {
        if (given === null || word.lead === 'start') role = known;
        name = rest.slice(1);
        mayBeRole = false;
        continue;
      }
      mayBeRole = false;
      const next = words[i + 1];
      const isTool = next?.text.startsWith('to=') === true || (isMarked && isKnownRecipient(word.text, recipients));
      if (role === null && isTool && /^[A-Za-z_][\w.-]*$/.test(word.text)) {
        role = 'tool';
        name = word.text;
        continue;
      }
    }
    if (word.text.startsWith('to=')) {
      let value = word.text.slice(3).split(/[{[]/, 1)[0]!;
      cutWord(word, 3 + value.length);
      const next = words[i + 1];
      // `to= functions.x` and `to=functions. x`
      if (
        next !== undefined &&
        next.lead === null &&
        (value === '' || value.endsWith('.')) &&
        /^[\w.-]+$/.test(next.text)
      ) {
        value += next.text;
        i++;
      }
      recipient = value;
      continue;
    }
    if (recipient === undefined && isMarked && isKnownRecipient(word.text, recipients)) {
      recipient = word.text;
      continue;
    }
    if (contentType === undefined && (isMarked || recipient !== undefined)) {
      const type = /^(?:json|code|text)(?=$|[{["])/.exec(word.text)?.[0];
      if (type !== undefined || (recipient !== undefined && isMarked && /^[A-Za-z][\w.+/-]*$/.test(word.text))) {
        contentType = type ?? word.text;
        cutWord(word, contentType.length);
        continue;
      }
    }
    if (channel === undefined && channels.includes(word.text) && isBeforeMeaning()) {
      channel = word.text;
      continue;
    }
    const isNoise = end !== 'cut' && !/[\p{L}{[]/u.test(word.text);
    const isInCall = end === 'message' && !/[{[]/.test(word.text) && (recipient !== undefined || callsLater(words, i));
    if (isNoise || isInCall) {
      problems.push('odd-header');
      continue;
    }
    split = word.at;
    break;
  }

  role ??= 'assistant';
  if (role === 'assistant' && recipient !== undefined && (nobody.has(recipient) || channels.includes(recipient))) {
    if (channels.includes(recipient)) channel ??= recipient;
    problems.push('odd-header');
    recipient = undefined;
  }
  const lastStart = marks.findLastIndex((mark) => mark.kind === 'start');
  if (channel === undefined && marks.some((mark, at) => at > lastStart && mark.kind === 'channel')) {
    // A channel was meant, but not one that exists: the one where it does least harm.
    if (!problems.includes('odd-channel') && !problems.includes('empty-channel')) problems.push('odd-channel');
    channel = recipient?.startsWith('functions.') === true ? 'commentary' : 'analysis';
  }
  const header: MessageHeader = {
    role,
    ...(name === undefined ? {} : { name }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(channel === undefined ? {} : { channel }),
    ...(contentType === undefined ? {} : { contentType }),
  };
  return { header, split, problems };
}

/** Words between white space and markers; a marker without a word after it is reported if it is a channel's. */
function wordsOf(text: string, marks: readonly HeaderMark[], problems: ProblemCode[]): Word[] {
  const words: Word[] = [];
  let lead: HeaderMark['kind'] | null = null;
  let from = 0;
  const take = (to: number): void => {
    for (const match of text.slice(from, to).matchAll(/\S+/g)) {
      words.push({ text: match[0], at: from + match.index, lead });
      lead = null;
    }
    from = to;
  };
  for (const mark of marks) {
    take(mark.at);
    if (lead === 'channel') problems.push('empty-channel');
    lead = mark.kind;
  }
  take(text.length);
  if (lead === 'channel') problems.push('empty-channel');
  return words;
}

interface ChannelMatch {
  readonly name: string;
  readonly length: number;
  readonly isExact: boolean;
}

/** `final`, `Final`, `final?`, `commentary2`, `comment`, `finalThe`, `commentaryto=x`: a channel and how much of the word
 *  it takes. Without a `<|message|>` digits may be an answer (`final42`) and stay outside. */
function matchChannel(word: string, channels: readonly string[], end: HeaderEnd): ChannelMatch | null {
  const noiseOnly = end === 'cut' ? /^[^\p{L}\p{N}{["]*$/u : /^[^\p{L}{["]*$/u;
  const lower = word.toLowerCase();
  for (const name of channels) {
    if (word === name) return { name, length: name.length, isExact: true };
    if (!lower.startsWith(name)) continue;
    const rest = word.slice(name.length);
    // A lower-case letter makes it another word ("finally"), unless it is a known continuation.
    if (/^(?:to=|json$|code$)/.test(rest) || !/^\p{Ll}/u.test(rest)) {
      const noise = noiseOnly.test(rest) ? rest.length : 0;
      return { name, length: name.length + noise, isExact: false };
    }
  }
  const stem = lower.replace(/[^\p{L}]+$/u, '');
  const longer = stem.length >= 3 ? channels.find((name) => name.startsWith(stem)) : undefined;
  return longer === undefined ? null : { name: longer, length: word.length, isExact: false };
}

/** What may be glued to a role: a channel or a recipient. */
function isMeaning(text: string, channels: readonly string[]): boolean {
  return text.startsWith('to=') || channels.includes(text);
}

function isKnownRecipient(word: string, recipients: ReadonlySet<string>): boolean {
  return recipients.has(word) || /^(?:functions\.[\w-]+|browser\.(?:search|open|find)|python)$/.test(word);
}

function callsLater(words: readonly Word[], from: number): boolean {
  return words.some((word, i) => i > from && word.text.startsWith('to='));
}
