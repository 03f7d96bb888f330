// Family 8: letters of a word. Counting, reversing, naming one, length, spelling, palindromes, anagrams. Tokens hide
// letters, so medium spells the word out; high numbers the letters, counts again from the end, and repairs what differs.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
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
  const list = places.length === 0 ? 'none' : places.join(', ');
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
      `In the word ${word}, how many times do you see ${letter}?`,
    ]),
    solutions: threeLevels(
      `The letter "${letter}" appears ${n} ${times} in "${word}".`,
      [`${spelled(word)}\n${letter} at ${list}\nTotal ${n}`],
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
  const high: Piece[] = [
    { text: `Letters:\n${numbered(word)}\nFrom the end:` },
    { text: ` ${spelled(tried.slice(0, swapAt))}`.trimEnd() },
    { text: ` ${spelled(tried.slice(swapAt, swapAt + 2))}`, isSlip },
    { text: tried.length > swapAt + 2 ? ` ${spelled(tried.slice(swapAt + 2))}` : '' },
    { text: `\n${numbered(tried)}\nBack: ${spelled([...tried].reverse().join(''))}` },
    { text: isSlip ? `\nNot ${spelled(word)}: wrong. Again: ${spelled(reversed)}` : ', correct.' },
  ];
  return {
    key: word,
    ...wordings([
      `Reverse the word "${word}".`,
      `What is "${word}" backwards?`,
      `Spell ${word} backwards.`,
      `Write "${word}" in reverse.`,
      `reverse ${word}`,
      `How do you write ${word} from back to front?`,
    ]),
    solutions: threeLevels(`"${word}" reversed is "${reversed}".`, [`${spelled(word)}\n${spelled(reversed)}`], high),
    tool: code(`"${word}"[::-1]`, reversed),
    verify: (said) => saysWord(said, reversed),
  };
});

export const nthLetter = family('nth-letter', ({ random }, word) => {
  const n = random.int(1, word.length);
  const letter = word[n - 1]!;
  const nth = ordinal(n);
  return {
    key: `${n} ${word}`,
    ...wordings([
      `What is the ${nth} letter of "${word}"?`,
      `Which letter is number ${n} in ${word}?`,
      `Name the ${nth} letter in "${word}".`,
      `${nth} letter of ${word}?`,
      `In the word ${word}, what letter comes ${nth}?`,
    ]),
    solutions: threeLevels(
      `The ${nth} letter of "${word}" is "${letter}".`,
      [`${[...word.slice(0, n)].map((other, i) => `${i + 1} ${other}`).join('\n')}`],
      [
        `Letters: ${spelled(word)}\n${numbered(word)}\nNumber ${n} is ${letter}. From the end it is number ${word.length - n + 1} of ${word.length}, correct.`,
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
  ({ random, size }) => {
    const half = inventedWord(random, size + 1);
    const mirrored = half + [...half].reverse().join('').slice(random.int(0, 1));
    const isOne = random.chance(0.5);
    const at = random.int(0, half.length - 1);
    const other = random.pick([...'abcdefghijklmnoprstuvwyz'].filter((letter) => letter !== mirrored[at]));
    const word = isOne ? mirrored : mirrored.slice(0, at) + other + mirrored.slice(at + 1);
    const isSame = word === [...word].reverse().join('');
    const reversed = [...word].reverse().join('');
    const verdict = `${isSame ? 'Yes' : 'No'}, "${word}" is ${isSame ? 'a' : 'not a'} palindrome.`;
    const pairs: string[] = [];
    for (let i = 0; i < Math.floor(word.length / 2); i++) {
      const [x, y] = [word[i]!, word[word.length - 1 - i]!];
      pairs.push(`${x} ${y} ${x === y ? 'same' : 'different'}`);
      if (x !== y) break;
    }
    return {
      key: word,
      ...wordings([
        `Is "${word}" a palindrome?`,
        `Does ${word} read the same backwards?`,
        `Is ${word} the same from both ends?`,
        `Tell me whether "${word}" is a palindrome.`,
      ]),
      solutions: threeLevels(
        verdict,
        [`${spelled(word)}\n${spelled(reversed)}`],
        [
          `${numbered(word)}\nFrom both ends:\n${pairs.join('\n')}\nForwards: ${spelled(word)}\nBackwards: ${spelled(reversed)}`,
        ],
      ),
      tool: code(`"${word}" == "${word}"[::-1]`, isSame ? 'True' : 'False'),
      verify: (said) => saysYes(said, isSame),
    };
  },
  { isGuessable: true },
);

export const anagram = family(
  'anagram',
  ({ random }, word) => {
    const isOne = random.chance(0.5);
    const letters = random.shuffle([...word]);
    if (!isOne) letters[0] = random.pick([...'aeiorstln'].filter((letter) => letter !== letters[0]));
    const other = random.shuffle(letters).join('');
    const sorted = (text: string): string => [...text].sort().join('');
    const isSame = sorted(word) === sorted(other);
    return {
      key: `${word} ${other}`,
      ...wordings([
        `Are "${word}" and "${other}" anagrams?`,
        `Is ${other} an anagram of ${word}?`,
        `Do ${word} and ${other} have the same letters?`,
        `Can you rearrange ${word} to get ${other}?`,
      ]),
      solutions: threeLevels(
        `${isSame ? 'Yes' : 'No'}, they ${isSame ? 'have' : 'do not have'} the same letters.`,
        [`${spelled(word)} > ${spelled(sorted(word))}\n${spelled(other)} > ${spelled(sorted(other))}`],
        [
          `${word}: ${spelled(word)}\n${other}: ${spelled(other)}\n`,
          [...new Set(sorted(word))]
            .map((letter) => `${letter} ${count(word, letter)} ${count(other, letter)}`)
            .join('\n'),
          `\nSorted: ${spelled(sorted(word))} and ${spelled(sorted(other))}\nLetters: ${word.length} and ${other.length}`,
        ],
      ),
      tool: code(`sorted("${word}") == sorted("${other}")`, isSame ? 'True' : 'False'),
      verify: (said) => saysYes(said, isSame),
    };
  },
  { isGuessable: true },
);

const count = (word: string, letter: string): number => [...word].filter((other) => other === letter).length;

export function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  return `${n}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')}`;
}
