// All task families and how often each is drawn. The order is part of the data: `families[i]` keeps its place, new ones
// are added at the end, and DATA_VERSION changes with anything that changes what is drawn.

import { bitwise, fromBinary, fromRoman, toBinary, toRoman } from './bases.ts';
import { cartChanges } from './cart.ts';
import { countdown } from './countdown.ts';
import { dateAfter, daysApart, timeLater, weekday } from './dates.ts';
import { commonDivisor, division, powerModulo, primality } from './division.ts';
import { expressions } from './expressions.ts';
import {
  functionCall,
  functionFollowUp,
  missingValue,
  noFunctionNeeded,
  noSuitableFunction,
} from './function-calls.ts';
import type { Family } from './item.ts';
import { anagram, countLetter, nthLetter, palindrome, reverseWord, spellWord, wordLength } from './letters.ts';
import { dropRepeats, filterList, maximum, minimum, sortList } from './lists.ts';
import { booleanValue, knightsAndKnaves, ordering } from './logic.ts';
import { lookupCount, lookupExtreme, lookupValue } from './lookup.ts';
import { multiplication } from './products.ts';
import { introductions, smallTalk, tooSmallToKnow } from './small-talk.ts';
import { addition, comparison, japaneseSums, subtraction } from './sums.ts';
import { laterTurn } from './turns.ts';
import { mixedUnits, moneyChange, unitConversion } from './units.ts';
import { inventoryProblem, journeyProblem, shopProblem, togetherProblem } from './word-problems.ts';

export const DATA_VERSION = 7;

export interface WeightedFamily {
  readonly family: Family;
  /** How often it is drawn in fine-tuning, relative to the others; pre-training and reinforcement follow from it. */
  readonly weight: number;
}

/** Stages that draw problems. */
export type DataStage = 'pretrain' | 'sft' | 'anneal' | 'rl';

/** Weight of a family in a stage. Pages without chat have no calls to show; annealing draws them three times as often: names
 *  to be copied are learned slowest; rewards teach nothing where each answer is a fixed text, and most where an answer is
 *  worked out. */
export function weightIn(stage: DataStage, { family, weight }: WeightedFamily): number {
  if (stage === 'pretrain') return family.suite >= 14 ? weight / 4 : weight;
  if (stage === 'anneal') return family.suite === 14 ? weight * 3 : weight;
  if (stage === 'rl') return family.suite === 15 ? weight / 4 : weight;
  return weight;
}

export const families: readonly WeightedFamily[] = [
  { family: addition, weight: 7 },
  { family: subtraction, weight: 9 },
  { family: japaneseSums, weight: 2 },
  { family: comparison, weight: 6 },
  { family: multiplication, weight: 10 },
  { family: expressions, weight: 8 },
  { family: countLetter, weight: 5 },
  { family: reverseWord, weight: 7 },
  { family: nthLetter, weight: 4 },
  { family: wordLength, weight: 2 },
  { family: spellWord, weight: 5 },
  { family: palindrome, weight: 4 },
  { family: anagram, weight: 3 },
  { family: sortList, weight: 10 },
  { family: minimum, weight: 4 },
  { family: maximum, weight: 4 },
  { family: filterList, weight: 4 },
  { family: dropRepeats, weight: 4 },
  { family: functionCall, weight: 20 },
  { family: functionFollowUp, weight: 3 },
  { family: noSuitableFunction, weight: 6 },
  { family: missingValue, weight: 3 },
  { family: noFunctionNeeded, weight: 2 },
  { family: smallTalk, weight: 4 },
  { family: introductions, weight: 0.5 },
  { family: tooSmallToKnow, weight: 1.5 },
  { family: division, weight: 5 },
  { family: commonDivisor, weight: 4 },
  { family: powerModulo, weight: 2 },
  { family: primality, weight: 4 },
  { family: inventoryProblem, weight: 3 },
  { family: shopProblem, weight: 2 },
  { family: journeyProblem, weight: 2 },
  { family: togetherProblem, weight: 2 },
  { family: weekday, weight: 3 },
  { family: dateAfter, weight: 2 },
  { family: daysApart, weight: 4 },
  { family: timeLater, weight: 3 },
  { family: unitConversion, weight: 4 },
  { family: mixedUnits, weight: 3 },
  { family: moneyChange, weight: 2 },
  { family: fromBinary, weight: 2 },
  { family: toBinary, weight: 2 },
  { family: fromRoman, weight: 1.5 },
  { family: toRoman, weight: 1.5 },
  { family: bitwise, weight: 2 },
  { family: booleanValue, weight: 2 },
  { family: ordering, weight: 4 },
  { family: knightsAndKnaves, weight: 2.5 },
  { family: countdown, weight: 3 },
  { family: lookupValue, weight: 7 },
  { family: lookupExtreme, weight: 4 },
  { family: lookupCount, weight: 4 },
  { family: cartChanges, weight: 2 },
  { family: laterTurn, weight: 3 },
];

export function familyNamed(name: string): Family | undefined {
  return families.find(({ family }) => family.name === name)?.family;
}
