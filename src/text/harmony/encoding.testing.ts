// Encodings for tests: o200k_harmony from the package, the tiny model's from the shared folder, and text to ids with the
// markers in it, the way fixtures write conversations. Not shipped.

import { readFileSync } from 'node:fs';
import { sharedPath } from '../../../test/shared.ts';
import { tokenizerFromJson } from '../../formats/tokenizer-data.ts';
import { o200kHarmony } from '../o200k-harmony.node.ts';
import { type Tokenizer, tokenizerFrom } from '../tokenizer.ts';
import { HarmonyEncoding } from './encoding.ts';

export interface TestEncoding {
  readonly encoding: HarmonyEncoding;
  readonly tokenizer: Tokenizer;
  /** Ids of text in which marker text counts as markers. */
  ids(text: string): number[];
  /** Text of ids, markers by name. */
  text(ids: Iterable<number>): string;
}

function testEncoding(tokenizer: Tokenizer): TestEncoding {
  return {
    encoding: new HarmonyEncoding(tokenizer),
    tokenizer,
    ids: (text) => tokenizer.encodeWithSpecials(text),
    text: (ids) => tokenizer.decode(ids),
  };
}

let o200k: TestEncoding | undefined;
let tiny: TestEncoding | undefined;

export function o200kEncoding(): TestEncoding {
  o200k ??= testEncoding(o200kHarmony());
  return o200k;
}

/** Needs `../shared/models/seed-tiny`. */
export function tinyEncoding(): TestEncoding {
  if (tiny === undefined) {
    const bytes = readFileSync(sharedPath('models', 'seed-tiny', 'tokenizer.json'));
    tiny = testEncoding(tokenizerFrom(tokenizerFromJson(bytes, 'tokenizer.json', 1024)));
  }
  return tiny;
}
