// Words, names and places that questions are made of, and invented words: letters can be counted in words that mean
// nothing, and a function may be declared under any name. One in five names, nouns and places is kept for tests.

import type { Random } from './random.ts';

const split = (text: string): readonly string[] => text.trim().split(/\s+/);

export const englishWords = split(`
cat dog sun map tree book fish bird lamp rain snow wind door hill moon star ship boat cake milk salt road wolf bear
frog duck lake leaf rose seed sand gold iron wood wool silk apple bread chair table house river stone cloud storm beach
plant grass horse sheep tiger zebra eagle robin snake whale shark lemon grape peach mango onion olive honey sugar spoon
knife plate glass paper pencil eraser window garden forest island bridge castle market school letter number summer
winter spring autumn yellow orange purple silver copper butter pepper coffee dinner supper bottle kettle pillow
blanket mirror ladder hammer needle button pocket jacket rabbit kitten puppy parrot pigeon turtle spider beetle
butterfly mosquito elephant giraffe squirrel kangaroo crocodile dolphin penguin banana cherry tomato potato carrot
cabbage spinach broccoli pumpkin strawberry raspberry blueberry blackberry pineapple coconut chocolate biscuit sandwich
breakfast umbrella suitcase backpack notebook keyboard computer telephone television bicycle motorcycle airplane
helicopter submarine carriage railway station platform passenger driver captain teacher student doctor nurse painter
singer dancer writer reader farmer baker butcher tailor sailor soldier engineer scientist musician president minister
neighbour brother sister mother father daughter cousin friend stranger village country capital mountain valley desert
ocean harbour lighthouse waterfall volcano earthquake thunder lightning rainbow sunshine midnight morning evening
tomorrow yesterday calendar birthday holiday festival concert theatre museum library hospital pharmacy restaurant
kitchen bathroom bedroom balcony basement ceiling carpet curtain cushion drawer cupboard refrigerator microwave
possess success address mississippi committee assess balloon bookkeeper coffeehouse common different dinner effect
follow happen hello hollow little middle million occur passage pepper puzzle rubber sheet sleep street sudden summer
swimmer tennis tomorrow traffic tunnel village willow yellow zipper bottom cotton glitter jelly koala lesson muffin
noodle pattern quarrel ribbon scissors tattoo vacuum whisper yummy aardvark barrel cinnamon dessert eggplant fluffy
`);

const ONSETS = split('b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sp st t th tr v w z');
const VOWELS = split('a e i o u a e i o u ai ea ee oo ou');
const CODAS = split('b d f g k l ll m n nn p r rr s ss st t tt x nd nt');

/** An invented word of about `length` letters, often with doubled ones. */
export function inventedWord(random: Random, length: number): string {
  let word = '';
  while (word.length < length) {
    word += random.pick(ONSETS) + random.pick(VOWELS);
    if (random.chance(0.5)) word += random.pick(CODAS);
  }
  return word.slice(0, Math.max(2, length));
}

export const names = split(`Anna Ben Clara David Emma Felix Grace Hugo Ines Jonas Kira Leo Mia Noah Olga Paul Rosa Sam
Tara Umar Vera Will Yuki Zoe Aiko Bruno Carmen Dmitri Elif Farid Hana Ivan Kenji Lena Marco Nadia Omar Priya Sofia Tom`);

export const places =
  split(`Tokyo Paris London Berlin Madrid Rome Oslo Cairo Lima Delhi Seoul Kyoto Boston Chicago Dublin
Lisbon Prague Vienna Warsaw Athens Helsinki Stockholm Toronto Sydney Nairobi Bangkok Hanoi Jakarta Osaka Zurich Geneva
Munich Hamburg Milan Naples Porto Seville Bergen Krakow Denver`);

export const things = split(`apples pears plums lemons melons books pens stamps coins shells marbles cards stickers eggs
cakes cookies candles flowers roses tulips balls boxes buttons bottles cups plates chairs toys kites hats shirts socks
stones ribbons beads tickets postcards magazines sandwiches`);

/** A part of a list: most of it, or the fifth kept for tests. */
export function part<T>(list: readonly T[], heldOut: boolean): readonly T[] {
  return list.filter((_, i) => (i % 5 === 4) === heldOut);
}
