// A small vocabulary trained on generated text, shared by tests of training data.
import { tokenizerFromJson } from '../../formats/tokenizer-data.ts';
import { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { type Tokenizer, tokenizerFrom } from '../../text/tokenizer.ts';
import { familyNamed } from '../tasks/families.ts';
import { drawItem } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import { bpeTokenizerJson, type TrainedBpe, trainBpe } from './bpe.ts';

export function trainingTexts(count: number): string[] {
  const texts: string[] = [];
  for (let n = 0; n < count; n++) {
    const family = familyNamed(['addition', 'count-letter', 'sort-list', 'small-talk'][n % 4]!)!;
    const random = new Random(5, 'text', n);
    const item = drawItem(family, { random, size: 1, heldOut: false, slips: 0 }, 'train')!;
    texts.push(...item.prompts, ...Object.values(item.solutions).map(({ final }) => final));
    for (const step of item.solutions.high.steps) {
      if (step.kind === 'analysis') texts.push(step.pieces.map(({ text }) => text).join(''));
    }
  }
  return texts;
}

export function smallVocabulary(vocab = 640): {
  bpe: TrainedBpe;
  json: string;
  tokenizer: Tokenizer;
  encoding: HarmonyEncoding;
} {
  const bpe = trainBpe(trainingTexts(120), { vocab });
  const json = bpeTokenizerJson(bpe);
  const tokenizer = tokenizerFrom(tokenizerFromJson(new TextEncoder().encode(json), 'tokenizer.json', vocab));
  return { bpe, json, tokenizer, encoding: new HarmonyEncoding(tokenizer) };
}
