// Family 8: letters of a word. Counting, reversing, naming one, length, spelling, palindromes, anagrams. Tokens hide
// letters, so medium spells the word out, with numbers where a letter is looked up and with a running count where
// letters are counted; high numbers the letters, does it again from the other end, and repairs what differs.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { slipOf } from './repair.ts';
import { saysNumber, saysWord, saysYes } from './verify.ts';
import { englishWords, inventedWord } from './words.ts';

const LENGTHS = [
  [3, 4],
  [5, 6],
  [7, 8],
  [9, 10],
  [11, 12],
] as const;
const ENGLISH = LENGTHS.map(([low, high]) => englishWords.filter(({ length }) => length >= low && length <= high));

function drawWord(random: Random, size: number): string {
  const [low, high] = LENGTHS[size - 1]!;
  const word = random.chance(0.4) ? random.pick(ENGLISH[size - 1]!) : inventedWord(random, random.int(low, high));
  if (!random.chance(0.25)) return word;
  const at = random.int(0, word.length - 1); // one more doubled letter
  return (word.slice(0, at) + word[at] + word.slice(at)).slice(0, high);
}

const spelled = (word: string): string => [...word].join(' ');
const numbered = (word: string): string => [...word].map((letter, i) => `${i + 1} ${letter}`).join('\n');
/** `4 r` … `1 b`: each letter stands beside the number under which `numbered` has it. */
const numberedDown = (word: string): string =>
  [...word]
    .map((letter, i) => `${i + 1} ${letter}`)
    .reverse()
    .join('\n');
/** A step between letters and the word: parts of three letters, each at the start of a line like the word itself. */
const inParts = (word: string): string => word.match(/.{1,3}/g)!.join('\n');
const yesNo = (is: boolean): string => (is ? 'yes' : 'no');

/** High for a question of yes or no: decided, decided by another way, and by the first again where the two disagree.
 *  `way` and `otherWay`: the lines that show it; `again`: what of `way` is written anew. */
function decidedTwice(
  name: string,
  [way, otherWay, again]: readonly [string, string, string],
  isSo: boolean,
  slip: Random | null,
): Piece[] {
  const said = slip === null ? isSo : !isSo;
  const first = [{ text: `${way}\n${name}: ` }, { text: yesNo(said), isSlip: slip !== null }];
  const check = `\nCheck\n${otherWay}\n${name}: ${yesNo(isSo)}`;
  if (slip === null) return [...first, { text: `${check}, correct.` }];
  return [...first, { text: `${check}, not ${yesNo(said)}: wrong. Again.\n${again}\n${name}: ${yesNo(isSo)}` }];
}

function family(name: string, draw: (draw: Draw, word: string) => Item, more: Partial<Family> = {}): Family {
  return { name, suite: 8, sizes: 4, tools: ['python'], draw: (d) => draw(d, drawWord(d.random, d.size)), ...more };
}

const code = (text: string, result: string | number): { code: string; result: string } => ({
  code: `print(${text})`,
  result: String(result),
});

export const countLetter = family('count-letter', ({ random, slips }, word) => {
  const letter = random.chance(0.92) ? random.pick([...word]) : random.pick([...'etaoinsr']);
  const places = [...word].flatMap((other, i) => (other === letter ? [i + 1] : []));
  const n = places.length;
  const times = n === 1 ? 'time' : 'times';
  let hits = 0;
  const counted = [...word].map((other) => (other === letter ? `${other} ${++hits}` : other)).join(' ');
  let seen = 0;
  const running = [...word].map((other, i) => `\n${i + 1} ${other}${other === letter ? ` + ${++seen}` : ''}`).join('');
  const backward = [...word]
    .map((other, i) => (other === letter ? i + 1 : 0))
    .filter((at) => at > 0)
    .reverse();
  const high: Piece[] = [{ text: `Letters: ${spelled(word)}\nLooking for ${letter}${running}` }];
  // A slip here is a wrong total; the recount from the end tells.
  const wrong = random.chance(slips) ? n + (n > 1 && random.chance(0.6) ? -1 : 1) : n;
  high.push({ text: '\nTotal ' }, { text: String(wrong), isSlip: wrong !== n });
  high.push({
    text: `\nFrom the end ${spelled([...word].reverse().join(''))}: ${backward.length === 0 ? 'none' : backward.join(', ')}, that is ${n}`,
  });
  high.push({ text: wrong === n ? ', correct.' : `, not ${wrong}: wrong.\nTotal ${n}` });
  return {
    key: `${letter} ${word}`,
    ...wordings([
      `How many times does the letter "${letter}" appear in "${word}"?`,
      `How many ${letter}'s are in ${word}?`,
      `Count the letter ${letter} in "${word}".`,
      `How often does ${letter} occur in ${word}?`,
      `How many "${letter}" are there in "${word}"?`,
      `how many ${letter}s in ${word}`,
      `What is the number of ${letter}'s in "${word}"?`,
      `In the word ${word}, how many times do you see ${letter}?`,
    ]),
    solutions: threeLevels(
      `The letter "${letter}" appears ${n} ${times} in "${word}".`,
      [`Looking for ${letter}: ${counted}\nTotal ${n}`],
      high,
    ),
    tool: code(`"${word}".count("${letter}")`, n),
    verify: (said) => saysNumber(said, n),
  };
});

export const reverseWord = family('reverse-word', ({ random, slips }, word) => {
  const reversed = [...word].reverse().join('');
  const swapAt = random.int(0, word.length - 2);
  const isSlip = random.chance(slips) && reversed[swapAt] !== reversed[swapAt + 1];
  const tried = isSlip
    ? reversed.slice(0, swapAt) + reversed[swapAt + 1] + reversed[swapAt] + reversed.slice(swapAt + 2)
    : reversed;
  const down = numberedDown(word);
  const medium = [`${spelled(word)}\n${spelled(reversed)}\n${inParts(reversed)}\nReversed: "${reversed}"`];
  const high: Piece[] = [
    { text: `Letters:\n${numbered(word)}\nFrom the end:\n${down}\nIn a row: ` },
    { text: tried.slice(0, swapAt) === '' ? '' : `${spelled(tried.slice(0, swapAt))} ` },
    { text: spelled(tried.slice(swapAt, swapAt + 2)), isSlip },
    { text: tried.length > swapAt + 2 ? ` ${spelled(tried.slice(swapAt + 2))}` : '' },
    { text: `\nBack: ${spelled([...tried].reverse().join(''))}` },
    { text: `, was ${spelled(word)}${isSlip ? `: wrong. Again.\nIn a row: ${spelled(reversed)}` : ', correct.'}` },
    { text: `\n${inParts(reversed)}\nReversed: "${reversed}"` },
  ];
  return {
    key: word,
    ...wordings([
      `Reverse the word "${word}".`,
      `What is "${word}" backwards?`,
      `Spell ${word} backwards.`,
      `Write "${word}" in reverse.`,
      `reverse ${word}`,
      `Turn "${word}" around.`,
      `${word} backwards, please.`,
      `How do you write ${word} from back to front?`,
    ]),
    solutions: threeLevels(`"${word}" reversed is "${reversed}".`, medium, high),
    tool: code(`"${word}"[::-1]`, reversed),
    verify: (said) => saysWord(said, reversed),
  };
});

export const nthLetter = family('nth-letter', ({ random }, word) => {
  const n = random.int(1, word.length);
  const letter = word[n - 1]!;
  const nth = ordinal(n);
  const down = numberedDown(word)
    .split('\n')
    .slice(0, word.length - n + 1)
    .join('\n');
  return {
    key: `${n} ${word}`,
    ...wordings([
      `What is the ${nth} letter of "${word}"?`,
      `Which letter is number ${n} in ${word}?`,
      `Name the ${nth} letter in "${word}".`,
      `${nth} letter of ${word}?`,
      `Tell me the ${nth} letter of ${word}.`,
      `what is letter ${n} of ${word}`,
      `Look at "${word}". Which letter is the ${nth}?`,
      `In the word ${word}, what letter comes ${nth}?`,
    ]),
    solutions: threeLevels(
      `The ${nth} letter of "${word}" is "${letter}".`,
      [`${numbered(word)}\nNumber ${n} is ${letter}`],
      [
        `Letters: ${spelled(word)}\n${numbered(word)}\nNumber ${n} is ${letter}\nCheck from the end\n${down}\nNumber ${n} is ${letter}, correct.`,
      ],
    ),
    tool: code(`"${word}"[${n - 1}]`, letter),
    verify: (said) => saysWord(said, letter),
  };
});

export const wordLength = family('word-length', (_, word) => {
  const n = word.length;
  return {
    key: word,
    ...wordings([
      `How many letters does "${word}" have?`,
      `How long is the word ${word}?`,
      `Count the letters in "${word}".`,
      `How many letters are in ${word}?`,
      `Of how many letters is ${word} made?`,
      `how many letters has ${word}`,
      `Tell me how many letters "${word}" has.`,
      `What is the length of "${word}"?`,
    ]),
    solutions: threeLevels(
      `"${word}" has ${n} letters.`,
      [numbered(word)],
      [
        `Letters: ${spelled(word)}\n${numbered(word)}\nFrom the end\n${numbered([...word].reverse().join(''))}\n${n} = ${n}, correct.`,
      ],
    ),
    tool: code(`len("${word}")`, n),
    verify: (said) => saysNumber(said, n),
  };
});

export const spellWord = family('spell-word', (_, word) => {
  const letters = [...word].join('-');
  return {
    key: word,
    ...wordings([
      `Spell "${word}".`,
      `How do you spell ${word}?`,
      `Spell out the word ${word}.`,
      `Please spell "${word}" letter by letter.`,
      `Can you spell ${word} for me?`,
      `spell ${word}`,
      `Give me the letters of "${word}" one by one.`,
      `What letters make up ${word}?`,
    ]),
    solutions: threeLevels(
      letters,
      [spelled(word)],
      [
        `${numbered(word)}\n${word.length} letters: ${spelled(word)}\nFrom the end: ${spelled([...word].reverse().join(''))}`,
      ],
    ),
    tool: code(`"-".join("${word}")`, letters),
    // `word: w o r d` is right too.
    verify: (all) => {
      const said = all.slice(all.lastIndexOf(':') + 1).trim();
      return said.toLowerCase().replace(/[^a-z]/g, '') === word && said.length >= 2 * word.length - 1;
    },
  };
});

export const palindrome = family(
  'palindrome',
  (draw) => {
    const { random, size } = draw;
    const half = inventedWord(random, size + 1);
    const mirrored = half + [...half].reverse().join('').slice(random.int(0, 1));
    const isOne = random.chance(0.5);
    const at = random.int(0, half.length - 1);
    const other = random.pick([...'abcdefghijklmnoprstuvwyz'].filter((letter) => letter !== mirrored[at]));
    const word = isOne ? mirrored : mirrored.slice(0, at) + other + mirrored.slice(at + 1);
    const isSame = word === [...word].reverse().join('');
    const final = `${isSame ? 'Yes' : 'No'}, "${word}" is ${isSame ? 'a' : 'not a'} palindrome.`;
    const pair = (i: number): { text: string; isSame: boolean } => {
      const j = word.length - 1 - i;
      const isPair = word[i] === word[j];
      // Both letters once more side by side, where they are compared.
      const both = `${word[i]} ${word[j]} ${isPair ? 'same' : 'different'}`;
      return { text: `${i + 1} ${word[i]}, ${j + 1} ${word[j]}: ${both}`, isSame: isPair };
    };
    const pairs = Array.from({ length: Math.floor(word.length / 2) }, (_, i) => pair(i));
    // Up to the first that differs.
    const shown = (list: typeof pairs): string => {
      const at = list.findIndex((one) => !one.isSame);
      return (at < 0 ? list : list.slice(0, at + 1)).map(({ text }) => text).join('\n');
    };
    const inward = `Both ends\n${shown(pairs)}`;
    return {
      key: word,
      ...wordings([
        `Is "${word}" a palindrome?`,
        `Does ${word} read the same backwards?`,
        `Is ${word} the same from both ends?`,
        `Is the word ${word} a palindrome?`,
        `If I read "${word}" from right to left, is it the same?`,
        `Can ${word} be read both ways?`,
        `is ${word} a palindrome`,
        `Tell me whether "${word}" is a palindrome.`,
      ]),
      solutions: threeLevels(
        final,
        [`${numbered(word)}\n${inward}\nPalindrome: ${yesNo(isSame)}`],
        decidedTwice(
          'Palindrome',
          [`${numbered(word)}\n${inward}`, `From the middle\n${shown([...pairs].reverse())}`, inward],
          isSame,
          slipOf(draw),
        ),
      ),
      tool: code(`"${word}" == "${word}"[::-1]`, isSame ? 'True' : 'False'),
      verify: (said) => saysYes(said, isSame),
    };
  },
  { isGuessable: true },
);

export const anagram = family(
  'anagram',
  (draw, word) => {
    const { random } = draw;
    const isOne = random.chance(0.5);
    const letters = random.shuffle([...word]);
    if (!isOne) letters[0] = random.pick([...'aeiorstln'].filter((letter) => letter !== letters[0]));
    const other = random.shuffle(letters).join('');
    const sorted = (text: string): string => [...text].sort().join('');
    const isSame = sorted(word) === sorted(other);
    const crossed = crossedOff(word, other);
    const way = `${word}: ${crossed[0]}\n${other}: ${crossed.slice(1).join('\n')}`;
    return {
      key: `${word} ${other}`,
      ...wordings([
        `Are "${word}" and "${other}" anagrams?`,
        `Is ${other} an anagram of ${word}?`,
        `Do ${word} and ${other} have the same letters?`,
        `Is "${other}" made of exactly the letters of "${word}"?`,
        `${word} and ${other}: are they anagrams?`,
        `Do the letters of ${word} spell ${other} in another order?`,
        `are ${word} and ${other} anagrams of each other`,
        `Can you rearrange ${word} to get ${other}?`,
      ]),
      solutions: threeLevels(
        `${isSame ? 'Yes' : 'No'}, they ${isSame ? 'have' : 'do not have'} the same letters.`,
        [`${way}\nSame: ${yesNo(isSame)}`],
        decidedTwice('Same', [way, crossedOff(other, word).join('\n'), crossed.at(-1)!], isSame, slipOf(draw)),
      ),
      tool: code(`sorted("${word}") == sorted("${other}")`, isSame ? 'True' : 'False'),
      verify: (said) => saysYes(said, isSame),
    };
  },
  { isGuessable: true },
);

/** Takes the letters of one word out of the other: `1b: e a r` is what is left after the first, b. Stops at one that is
 *  missing. The numbers tell which comes next, where a letter is there twice. */
function crossedOff(word: string, other: string): string[] {
  const left = [...other];
  const lines = [[...word].map((letter, i) => `${i + 1}${letter}`).join(' '), spelled(other)];
  for (const [i, letter] of [...word].entries()) {
    const at = left.indexOf(letter);
    if (at >= 0) left.splice(at, 1);
    lines.push(`${i + 1}${letter}: ${at < 0 ? 'missing' : left.length === 0 ? 'none left' : left.join(' ')}`);
    if (at < 0) break;
  }
  return lines;
}

export function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  return `${n}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')}`;
}
