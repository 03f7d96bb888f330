// Family 11: true and false with and, or, not; who is the tallest of a few people; knights who tell the truth and knaves who
// lie. Each step is one look-up: the innermost operation, the clue that has this name on its left, the kind that follows
// from one that is known. High goes another way a second time, or tests every claim.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { saysWord } from './verify.ts';
import { names, part } from './words.ts';

function family(name: string, draw: (draw: Draw) => Item, more: Partial<Family> = {}): Family {
  return { name, suite: 11, sizes: 3, draw, ...more };
}

// ---- true and false --------------------------------------------------------------------------------------------------

type Formula =
  | boolean
  | { readonly kind: 'not'; readonly of: Formula }
  | { readonly kind: 'and' | 'or'; readonly left: Formula; readonly right: Formula };

/** Size n: n + 1 operations. */
function drawFormula(random: Random, operations: number): Formula {
  if (operations === 0) return random.chance(0.5);
  if (random.chance(0.3)) return { kind: 'not', of: drawFormula(random, operations - 1) };
  const left = random.int(0, operations - 1);
  return {
    kind: random.pick(['and', 'or'] as const),
    left: drawFormula(random, left),
    right: drawFormula(random, operations - 1 - left),
  };
}

/** Everything but a single value in brackets, so that there is no precedence to know. */
function textOf(formula: Formula, isInner = false): string {
  if (typeof formula === 'boolean') return String(formula);
  const text =
    formula.kind === 'not'
      ? `not ${textOf(formula.of, true)}`
      : `${textOf(formula.left, true)} ${formula.kind} ${textOf(formula.right, true)}`;
  return isInner ? `(${text})` : text;
}

function truthOf(formula: Formula): boolean {
  if (typeof formula === 'boolean') return formula;
  if (formula.kind === 'not') return !truthOf(formula.of);
  return formula.kind === 'and'
    ? truthOf(formula.left) && truthOf(formula.right)
    : truthOf(formula.left) || truthOf(formula.right);
}

/** The leftmost operation on values, done; `isWrong`: with the opposite result. */
function reduceOnce(formula: Formula, isWrong: boolean): { formula: Formula; done: string; value: boolean } {
  if (typeof formula === 'boolean') return { formula, done: '', value: formula };
  const children = formula.kind === 'not' ? [formula.of] : [formula.left, formula.right];
  const at = children.findIndex((child) => typeof child !== 'boolean');
  if (at < 0) {
    const value = truthOf(formula) !== isWrong;
    return { formula: value, done: textOf(formula), value };
  }
  const inner = reduceOnce(children[at]!, isWrong);
  const put = (i: number): Formula => (i === at ? inner.formula : children[i]!);
  const whole: Formula =
    formula.kind === 'not' ? { kind: 'not', of: put(0) } : { kind: formula.kind, left: put(0), right: put(1) };
  return { ...inner, formula: whole };
}

function reduceAll(formula: Formula, isFull: boolean, slip: Random | null): Attempt<boolean> {
  const pieces: Piece[] = [];
  const operations = textOf(formula).split(/\b(?:and|or|not)\b/).length - 1;
  const slipAt = slip === null ? -1 : slip.int(0, operations - 1);
  let at = formula;
  for (let i = 0; typeof at !== 'boolean'; i++) {
    const isSlip = i === slipAt;
    const { done, value, formula: next } = reduceOnce(at, isSlip);
    const after = typeof next === 'boolean' ? '' : `, so ${textOf(next)}`;
    const start = i === 0 ? '' : '\n';
    if (isFull) pieces.push({ text: `${start}${done} is ` }, { text: String(value), isSlip }, { text: after });
    else pieces.push({ text: `${start}${done} = ${value}${after}` });
    at = next;
  }
  return { pieces, result: at };
}

/** The same from the right, operation by operation, by what each rule says. */
function judgeAgain(formula: Formula, found: boolean): Check {
  const lines: string[] = [];
  const judge = (at: Formula): boolean => {
    if (typeof at === 'boolean') return at;
    if (at.kind === 'not') {
      const inner = judge(at.of);
      lines.push(`not ${inner}: the opposite, ${!inner}`);
      return !inner;
    }
    const right = judge(at.right);
    const left = judge(at.left);
    const value = at.kind === 'and' ? left && right : left || right;
    const why = at.kind === 'and' ? (value ? 'both are' : 'one is false') : value ? 'one is true' : 'none is';
    lines.push(`${right} ${at.kind} ${left}: ${why}, ${value}`);
    return value;
  };
  const value = judge(formula);
  return verdict(
    `From the right\n${lines.join('\n')}\n${found} is ${value === found ? '' : 'not '}${value}`,
    value === found,
  );
}

export const booleanValue = family(
  'boolean-value',
  (draw) => {
    const { random, size } = draw;
    const formula = drawFormula(random, size + 1);
    const text = textOf(formula);
    const value = truthOf(formula);
    return {
      key: text,
      ...wordings([
        `Is this true or false: ${text}?`,
        `Evaluate ${text}.`,
        `What is ${text}?`,
        `${text} = ?`,
        `What does ${text} come to?`,
        `True or false? ${text}`,
        `Work out ${text}.`,
        `Tell me the value of ${text}.`,
        `Give the truth value of ${text}.`,
      ]),
      solutions: threeLevels(
        `It is ${value}.`,
        [...reduceAll(formula, false, null).pieces],
        [
          { text: `Evaluate ${text}\n` },
          ...repaired(
            (slip) => reduceAll(formula, true, slip),
            (found) => judgeAgain(formula, found),
            slipOf(draw),
          ),
        ],
      ),
      tool: {
        code: `print(${text.replaceAll('true', 'True').replaceAll('false', 'False')})`,
        result: value ? 'True' : 'False',
      },
      verify: (said) => {
        const found = new Set((said.toLowerCase().match(/\b(true|false)\b/g) ?? []).slice(0, 4));
        return found.size === 1 && found.has(String(value));
      },
    };
  },
  { isGuessable: true, tools: ['python'] },
);

// ---- an order --------------------------------------------------------------------------------------------------------

const SCALES = [
  { more: 'taller', less: 'shorter', most: 'tallest', least: 'shortest' },
  { more: 'older', less: 'younger', most: 'oldest', least: 'youngest' },
  { more: 'faster', less: 'slower', most: 'fastest', least: 'slowest' },
  { more: 'stronger', less: 'weaker', most: 'strongest', least: 'weakest' },
];

/** Size n: n + 2 people, n + 1 clues that make a chain, shuffled. */
export const ordering = family(
  'ordering',
  (draw) => {
    const { random, size, heldOut } = draw;
    const chain = random.sample(part(names, heldOut), size + 2); // from most to least
    const scale = random.pick(SCALES);
    const pairs = chain.slice(1).map((low, i) => [chain[i]!, low] as const);
    const clues = random.shuffle(
      pairs.map(([high, low]) =>
        random.chance(0.6)
          ? { text: `${high} is ${scale.more} than ${low}`, high, low, says: scale.more }
          : { text: `${low} is ${scale.less} than ${high}`, high, low, says: scale.less },
      ),
    );
    const wantsMost = random.chance(0.5);
    const answer = wantsMost ? chain[0]! : chain.at(-1)!;
    const word = wantsMost ? scale.most : scale.least;
    const text = clues.map((clue) => `${clue.text}.`).join(' ');
    const towards = wantsMost ? [...chain].reverse() : chain; // the wanted one comes last
    // Whoever is nearer to what is wanted comes second, so that each look-up goes on from a name: turned round where the
    // clue speaks the question's way (slower, slowest), else in the order of the clue.
    const shown = ({ high, low, says }: (typeof clues)[number]): string => {
      const isSame = says === (wantsMost ? scale.more : scale.less);
      return `${says}, ${isSame ? 'same' : 'other'}: ${wantsMost ? `${low} > ${high}` : `${high} > ${low}`}`;
    };
    const climb = (from: (typeof clues)[number], slip: Random | null): Attempt<string> => {
      const steps = towards.slice(towards.indexOf(wantsMost ? from.low : from.high));
      const found = slip === null ? steps.length : slip.int(1, steps.length - 1);
      const climbed = steps.slice(0, found);
      return {
        pieces: [{ text: `From ${climbed.join(' > ')}` }, { text: ', end', isSlip: found < steps.length }],
        result: climbed.at(-1)!,
      };
    };
    const attempt = (slip: Random | null): Attempt<string> => {
      const { pieces, result } = climb(clues[0]!, slip);
      const lines = clues.map((clue) => `${clue.text}. ${shown(clue)}`);
      return {
        pieces: [{ text: `Wanted: ${word}\n${lines.join('\n')}\n` }, ...pieces, { text: `\nFound: ${result}` }],
        result,
      };
    };
    // From the last clue one gets to the same person.
    const check = (found: string): Check => {
      const { pieces, result } = climb(clues.at(-1)!, null);
      const isRight = result === found;
      const end = verdict(`\nAgain ${result}${isRight ? '' : `, not ${found}`}`, isRight);
      return { pieces: [{ text: 'Check\n' }, ...pieces, ...end.pieces], isRight };
    };
    return {
      key: `${word}: ${text}`,
      ...wordings([
        `${text} Who is the ${word}?`,
        `${text} Which of them is the ${word}?`,
        `${text} Name the ${word}.`,
        `Who is the ${word}? ${text}`,
        `${text} So who is the ${word}?`,
        `${text} Find the ${word}.`,
        `Read this and name the ${word}: ${text}`,
        `${text} The ${word} is who?`,
        `${text} Tell me who is the ${word} of all.`,
      ]),
      solutions: threeLevels(
        `${answer} is the ${word}.`,
        [
          { text: `${word}\n${clues.map(shown).join('\n')}\n` },
          ...climb(clues[0]!, null).pieces,
          { text: `\n${word}: ${answer}` },
        ],
        repaired(attempt, check, slipOf(draw)),
      ),
      verify: (said) => {
        const named = chain.filter((name) => new RegExp(`\\b${name}\\b`).test(said));
        return named.length === 1 && named[0] === answer;
      },
    };
  },
  { isGuessable: true },
);

// ---- knights and knaves ----------------------------------------------------------------------------------------------

interface Claim {
  readonly by: number;
  /** What is claimed of whom: that person is a knight or a knave; or that two are of the same kind. */
  readonly about: number;
  readonly kind: 'knight' | 'knave' | 'same' | 'different';
}

const claimText = ({ by, about, kind }: Claim, who: readonly string[]): string =>
  kind === 'knight' || kind === 'knave'
    ? `${who[about]} is a ${kind}`
    : `${who[by]} and ${who[about]} are ${kind === 'same' ? 'of the same kind' : 'of different kinds'}`;

const claimHolds = ({ by, about, kind }: Claim, isKnight: readonly boolean[]): boolean =>
  kind === 'knight'
    ? isKnight[about]!
    : kind === 'knave'
      ? !isKnight[about]!
      : (isKnight[by] === isKnight[about]) === (kind === 'same');

const fits = (claims: readonly Claim[], isKnight: readonly boolean[]): boolean =>
  claims.every((claim) => claimHolds(claim, isKnight) === isKnight[claim.by]);

const kindOf = (isKnight: boolean): 'knight' | 'knave' => (isKnight ? 'knight' : 'knave');

/** What claims say whoever makes them: who calls another the same is right as a knight and lies as a knave, and both
 *  times the other is a knight; with different, a knave. Who calls another a knight is of that one's kind, with knave of
 *  the other kind. Then from one known kind to the next, up to `asked` (null: all). `slip`: one of the kinds is wrong. */
function deduce(
  claims: readonly Claim[],
  who: readonly string[],
  asked: number | null,
  slip: Random | null,
): Attempt<boolean[]> {
  const found = new Map<number, boolean>();
  const pieces: Piece[] = [];
  const isFixed = ({ kind }: Claim): boolean => kind === 'same' || kind === 'different';
  const first = (claim: Claim): boolean =>
    claims.find((other) => isFixed(other) && other.about === claim.about) === claim;
  const wrong = slip === null ? undefined : slip.pick(claims.filter(first));
  for (const claim of claims) {
    const { by, about, kind } = claim;
    pieces.push({ text: `${pieces.length === 0 ? '' : '\n'}${who[by]} says ${kind}: ` });
    if (isFixed(claim)) {
      const isKnight = (kind === 'same') !== (claim === wrong);
      pieces.push({ text: `${who[about]} ` }, { text: kindOf(isKnight), isSlip: claim === wrong });
      if (!found.has(about)) found.set(about, isKnight);
    } else pieces.push({ text: `${who[by]} ${kind === 'knight' ? 'like' : 'unlike'} ${who[about]}` });
  }
  const isDone = (): boolean => (asked === null ? found.size === who.length : found.has(asked));
  while (!isDone()) {
    // Some link leads on, else there would be more than one solution.
    const { by, about, kind } = claims.find(
      (claim) => !isFixed(claim) && found.has(claim.by) !== found.has(claim.about),
    )!;
    const [known, next] = found.has(by) ? [by, about] : [about, by];
    const isKnight = found.get(known)! === (kind === 'knight');
    const how = kind === 'knight' ? 'like' : 'unlike';
    pieces.push({
      text: `\n${who[known]} ${kindOf(found.get(known)!)}, ${who[by]} ${how} ${who[about]}: ${who[next]} ${kindOf(isKnight)}`,
    });
    found.set(next, isKnight);
  }
  return { pieces, result: who.map((_, i) => found.get(i) ?? false) };
}

/** Every claim beside the kinds, up to one that does not fit. */
function testClaims(claims: readonly Claim[], who: readonly string[], isKnight: readonly boolean[]): Check {
  const lines: string[] = [];
  for (const claim of claims) {
    const { by, about, kind } = claim;
    const holds = claimHolds(claim, isKnight);
    const [mine, other] = [kindOf(isKnight[by]!), kindOf(isKnight[about]!)];
    const facts = kind === 'same' || kind === 'different' ? `${mine} and ${other}` : other;
    lines.push(`${who[by]} ${mine}: says ${who[about]} ${kind}, it is ${facts}, ${holds}`);
    if (holds !== isKnight[by]) return verdict(`Check\n${lines.join('\n')}, a ${mine} would not say it`, false);
  }
  return verdict(`Check\n${lines.join('\n')}\nAll fit`, true);
}

/** Sizes 1 and 2: two people; 3: three; one harder: four. */
export const knightsAndKnaves = family(
  'knights-and-knaves',
  (draw) => {
    const { random, size, heldOut } = draw;
    const count = size <= 2 ? 2 : size;
    const who = random.sample(part(names, heldOut), count);
    const worlds = Array.from({ length: 2 ** count }, (_, bits) =>
      Array.from({ length: count }, (__, i) => (bits & (1 << (count - 1 - i))) === 0),
    );
    let claims: Claim[];
    let solutions: boolean[][];
    do {
      claims = who.map((_, by) => ({
        by,
        about: random.pick(Array.from({ length: count }, (__, i) => i).filter((i) => i !== by)),
        kind: random.pick(['knight', 'knave', 'same', 'different'] as const),
      }));
      solutions = worlds.filter((world) => fits(claims, world));
    } while (solutions.length !== 1);
    const world = solutions[0]!;
    const text = claims.map((claim) => `${who[claim.by]} says: "${claimText(claim, who)}."`).join(' ');
    const asked = random.int(0, count - 1);
    const kind = kindOf(world[asked]!);
    const final = `${who[asked]} is a ${kind}.`;
    const attempt = (slip: Random | null): Attempt<boolean[]> => {
      const { pieces, result } = deduce(claims, who, null, slip);
      const given = claims.map((claim) => `${who[claim.by]}: ${claimText(claim, who)}`).join('\n');
      const found = who.map((name, i) => `${name} ${kindOf(result[i]!)}`).join(', ');
      return { pieces: [{ text: `Claims\n${given}\nSo\n` }, ...pieces, { text: `\nFound: ${found}` }], result };
    };
    return {
      key: `${text} ${who[asked]}`,
      ...wordings([
        `Knights tell the truth, knaves lie. ${text} Is ${who[asked]} a knight or a knave?`,
        `Each is a knight, who tells the truth, or a knave, who lies. ${text} What is ${who[asked]}?`,
        `Knights never lie and knaves always do. ${text} What is ${who[asked]}, a knight or a knave?`,
        `Knights always tell the truth; knaves always lie. ${text} Tell me what ${who[asked]} is.`,
        `A knight says only what is true, a knave only what is false. ${text} Is ${who[asked]} a knight or a knave?`,
        `${text} Knights tell the truth and knaves lie. What is ${who[asked]}?`,
        `Here live knights, who never lie, and knaves, who always lie. ${text} Which is ${who[asked]}?`,
        `Some are knights and speak the truth, the others are knaves and lie. ${text} What is ${who[asked]}?`,
        `On an island knights tell the truth and knaves lie. ${text} Find out what ${who[asked]} is.`,
      ]),
      solutions: threeLevels(
        final,
        [...deduce(claims, who, asked, null).pieces, { text: `\n${who[asked]} is a ${kind}` }],
        [
          ...repaired(attempt, (found) => testClaims(claims, who, found), slipOf(draw)),
          { text: `\n${who[asked]} is a ${kind}` },
        ],
      ),
      verify: (said) => {
        const kinds = new Set(said.toLowerCase().match(/\b(knight|knave)\b/g) ?? []);
        return kinds.size === 1 && saysWord(said.replace(/[."]+\s*$/, ''), kind);
      },
    };
  },
  { isGuessable: true },
);
