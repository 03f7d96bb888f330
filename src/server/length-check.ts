// Owns: turning away conversations that are far too long before they are encoded as a whole, which takes a second for
// every few megabytes, and everybody else would wait. Pieces are encoded until the context is full; what is only a little
// too long is left to the engine, which counts exactly. Next: generation.ts.

import { GptOssError } from '../errors.ts';
import type { ContentPart, Message } from '../text/harmony/messages.ts';
import { developerText } from '../text/harmony/prompt-text.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

const SUSPICIOUS = 8; // characters for each token of the context: text has four, code three, spaces many
const PIECE = 32_768; // characters
const SLACK = 1.1; // cutting a text into pieces may add a token or two at each cut

export function checkLength(messages: readonly Message[], tokenizer: Tokenizer, context: number): void {
  const texts = messages.flatMap((message) => (message.ids === undefined ? textsOf(message) : []));
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  if (characters <= context * SUSPICIOUS) return;
  let tokens = 0;
  for (const text of texts) {
    for (let start = 0; start < text.length; start += PIECE) {
      tokens += tokenizer.encode(text.slice(start, start + PIECE)).length;
      if (tokens <= context * SLACK + 100) continue;
      throw new GptOssError(
        'context-overflow',
        `${characters} characters do not fit a context of ${context} tokens; expected fewer; shorten the input or start the server with a larger context`,
        { details: { parameter: 'messages' } },
      );
    }
  }
}

function textsOf({ content }: Message): string[] {
  return typeof content === 'string' ? [content] : content.map(textOf);
}

function textOf(part: ContentPart): string {
  if (part.type === 'text') return part.text;
  return part.type === 'developer' ? developerText(part) : '';
}
