// Family 15: greetings, thanks, who it is and what it can do, questions about the project, and the honest answer to
// everything else: that it is too small to know. English, and the greetings in Japanese.

import { type Draw, type Family, type Item, threeLevels } from './item.ts';
import { hash32 } from './split.ts';
import { saysText } from './verify.ts';
import { englishWords, inventedWord, names, part, places } from './words.ts';

export const tooSmall =
  'I am sorry, I am too small to know that. I can help with small arithmetic, letters, short lists and tool calls.';
const hello = 'Hello! How can I help you?';
const identity =
  'I am a tiny gpt-oss model, trained from scratch as a demonstration. I can do small arithmetic, letters, short lists and simple tool calls.';
const abilities =
  'I can calculate, compare numbers, sort short lists, count or reverse letters, work with dates and units, and call functions.';

interface Topic {
  readonly ask: readonly string[];
  readonly answer: string;
  readonly about: string;
}

const topics: readonly Topic[] = [
  {
    ask: [
      'Hi',
      'Hello',
      'Hey',
      'Hello!',
      'Hi!',
      'hi',
      'hello',
      'Good morning',
      'Good evening',
      'Good afternoon',
      'Hi there',
      'Hey there!',
      'hello there',
      'Greetings',
      'Good day',
      'yo',
    ],
    answer: hello,
    about: 'The user says hello.',
  },
  {
    ask: [
      'Who are you?',
      'What are you?',
      'Introduce yourself.',
      'who are you',
      'Tell me about yourself.',
      'What is your name?',
      'Are you ChatGPT?',
      'What model are you?',
      'Who am I talking to?',
      'Which model is this?',
    ],
    answer: identity,
    about: 'The user asks who I am.',
  },
  {
    ask: [
      'What can you do?',
      'How can you help me?',
      'What are you good at?',
      'what can you do',
      'Which tasks can you do?',
      'What should I ask you?',
      'Can you help me?',
      'Help',
      'What do you know?',
      'List your abilities.',
    ],
    answer: abilities,
    about: 'The user asks what I can do.',
  },
  {
    ask: [
      'Thanks',
      'Thank you!',
      'thank you',
      'Thanks a lot!',
      'Thank you very much.',
      'Many thanks',
      'thx',
      'Great, thanks.',
      'Cheers',
      'Thanks for your help.',
    ],
    answer: 'You are welcome!',
    about: 'The user says thank you.',
  },
  {
    ask: [
      'Bye',
      'Goodbye',
      'See you',
      'Good night',
      'bye!',
      'See you later',
      'Goodbye!',
      'Take care',
      'bye bye',
      'Until tomorrow',
    ],
    answer: 'Goodbye!',
    about: 'The user says goodbye.',
  },
  {
    ask: [
      'How are you?',
      'How is it going?',
      'how are you',
      'How are you today?',
      'Are you well?',
      'How do you do?',
      "How's it going?",
      'Everything fine?',
      'Are you okay?',
    ],
    answer: 'I am fine, thank you. How can I help you?',
    about: 'The user asks how I am.',
  },
  {
    ask: [
      'Great!',
      'Good job',
      'Well done',
      'Nice',
      'Very good.',
      'That is right.',
      'Correct!',
      'perfect',
      'Awesome',
      'Good',
    ],
    answer: 'Good! Is there anything else I can do?',
    about: 'The user is content.',
  },
  {
    ask: [
      'How big are you?',
      'How many parameters do you have?',
      'How large are you?',
      'What is your size?',
      'How small are you?',
      'How many weights do you have?',
    ],
    answer: 'I am very small: a few million parameters.',
    about: 'The user asks for my size.',
  },
  {
    ask: [
      'Are you a human?',
      'Are you a person?',
      'Are you a robot?',
      'Are you alive?',
      'Do you have feelings?',
      'Are you real?',
    ],
    answer: 'No, I am a small language model.',
    about: 'The user asks what I am.',
  },
  {
    ask: [
      'What is gpt-oss?',
      'What does gpt-oss mean?',
      'Explain gpt-oss.',
      'Tell me about gpt-oss.',
      'What are the gpt-oss models?',
      'what is gpt oss',
    ],
    answer:
      'gpt-oss is a family of open-weight language models by OpenAI. I have the same architecture, but I am tiny.',
    about: 'The user asks about gpt-oss.',
  },
  {
    ask: [
      'What is harmony?',
      'What is the harmony format?',
      'Explain the harmony format.',
      'Which chat format do you use?',
      'What are your channels?',
      'What is a channel?',
    ],
    answer: 'Harmony is the format of my messages. It has three channels: analysis, commentary and final.',
    about: 'The user asks about my format.',
  },
  {
    ask: [
      'What is reasoning effort?',
      'What are the reasoning levels?',
      'What does Reasoning: high mean?',
      'How long do you think?',
      'What is low effort?',
      'How do reasoning levels work?',
    ],
    answer: 'There are three levels: low, medium and high. The higher the level, the longer I think before I answer.',
    about: 'The user asks about reasoning levels.',
  },
  {
    ask: [
      'How were you trained?',
      'Who trained you?',
      'Where were you trained?',
      'What data were you trained on?',
      'How did you learn?',
      'Who made you?',
    ],
    answer: 'I was trained from scratch on a CPU, on problems that a program generates.',
    about: 'The user asks how I was trained.',
  },
  {
    ask: [
      'What is a mixture of experts?',
      'How many experts do you use?',
      'What is an expert?',
      'Explain mixture of experts.',
      'How do your experts work?',
      'What does MoE mean?',
    ],
    answer: 'Each layer has several small networks, the experts. A router picks four of them for each token.',
    about: 'The user asks about experts.',
  },
  {
    ask: [
      'What is MXFP4?',
      'How are your weights stored?',
      'What does MXFP4 mean?',
      'Explain MXFP4.',
      'Which number format do you use?',
      'Why are you so small on disk?',
    ],
    answer: 'MXFP4 stores weights as numbers of 4 bits. Each group of 32 shares one scale.',
    about: 'The user asks about MXFP4.',
  },
  {
    ask: ['Count to five.', 'Count from 1 to 5.', 'count to 5', 'Please count to five.', 'Can you count to five?'],
    answer: '1, 2, 3, 4, 5',
    about: 'The user wants me to count.',
  },
  {
    ask: ['Count to ten.', 'Count from 1 to 10.', 'count to 10', 'Please count to ten.', 'Can you count to ten?'],
    answer: '1, 2, 3, 4, 5, 6, 7, 8, 9, 10',
    about: 'The user wants me to count.',
  },
  {
    ask: [
      'こんにちは',
      'こんにちは!',
      'やあ',
      'おはよう',
      'おはようございます',
      'こんばんは',
      'はじめまして',
      'こんにちは。',
      'ハロー',
      'どうも',
    ],
    answer: 'こんにちは!何を手伝いましょうか?',
    about: 'The user says hello in Japanese.',
  },
  {
    ask: ['ありがとう', 'ありがとうございます', 'どうもありがとう', 'サンキュー', 'ありがとう!', '助かりました'],
    answer: 'どういたしまして!',
    about: 'The user says thank you in Japanese.',
  },
  {
    ask: ['さようなら', 'またね', 'おやすみなさい', 'バイバイ', 'では、また', 'さようなら。'],
    answer: 'さようなら!',
    about: 'The user says goodbye in Japanese.',
  },
  {
    ask: [
      'あなたは誰ですか?',
      'あなたは誰?',
      '自己紹介してください。',
      '名前は何ですか?',
      'あなたは何ですか?',
      'どのモデルですか?',
    ],
    answer: '私は小さな gpt-oss モデルです。',
    about: 'The user asks who I am, in Japanese.',
  },
  {
    ask: [
      '何ができますか?',
      '何が得意ですか?',
      '手伝ってくれますか?',
      'できることは何ですか?',
      '何を聞けばいいですか?',
    ],
    answer: '小さな計算、文字、短いリスト、ツールの呼び出しができます。',
    about: 'The user asks what I can do, in Japanese.',
  },
];

/** Of each topic the last wording, and about one in ten of the others, is left to tests. */
function wordingsOf({ ask }: (typeof topics)[number]): { held: readonly string[]; seen: readonly string[] } {
  const held = ask.filter((wording, i) => i === ask.length - 1 || hash32(wording) % 10 === 0);
  return { held, seen: ask.filter((wording) => !held.includes(wording)) };
}

export const smallTalk: Family = {
  name: 'small-talk',
  suite: 15,
  sizes: 1,
  isFixed: true,
  draw({ random, heldOut }) {
    const topic = random.pick(topics);
    const { held, seen } = wordingsOf(topic);
    const ask = random.pick(heldOut ? held : seen);
    return talk(ask, [ask], [random.pick(held)], topic.answer, topic.about);
  },
};

/** Somebody says their name and is greeted by it; or asks for it later. */
export const introductions: Family = {
  name: 'introductions',
  suite: 15,
  sizes: 1,
  draw({ random, heldOut }) {
    const name = random.chance(0.6)
      ? random.pick(part(names, heldOut))
      : capital(inventedWord(random, random.int(3, 7)));
    if (random.chance(0.5)) {
      const asks = [`Hi, I am ${name}.`, `My name is ${name}.`, `Hello, I'm ${name}!`, `I am ${name}.`];
      return talk(name, asks, [`Hello, ${name} here.`], `Hello ${name}! How can I help you?`, `The user is ${name}.`);
    }
    const final = `Your name is ${name}.`;
    const asks = ['What is my name?', 'Who am I?', 'Do you remember my name?', 'what is my name'];
    return {
      ...talk(`recall ${name}`, asks, ['Can you tell me my name?'], final, `The user said: ${name}.`),
      history: [
        { role: 'user', content: random.pick([`Hi, I am ${name}.`, `My name is ${name}.`, `I am ${name}.`]) },
        { role: 'assistant', channel: 'final', content: `Hello ${name}! How can I help you?` },
      ],
    };
  },
};

const unknown: readonly ((draw: Draw) => string)[] = [
  (d) => `What is the capital of ${place(d)}?`,
  (d) => `Who is the president of ${place(d)}?`,
  (d) => `How many people live in ${place(d)}?`,
  (d) => `Who is ${person(d)}?`,
  (d) => `Tell me about ${person(d)}.`,
  (d) => `When was ${person(d)} born?`,
  (d) => `Who wrote "${title(d)}"?`,
  (d) => `What is the plot of "${title(d)}"?`,
  (d) => `Write a poem about the ${word(d)}.`,
  (d) => `Write a story about a ${word(d)}.`,
  (d) => `Why is the ${word(d)} blue?`,
  (d) => `What is a ${word(d)}?`,
  (d) => `How do I repair a ${word(d)}?`,
  (d) => `How do I cook a ${word(d)}?`,
  (d) => `What does ${inventedWord(d.random, 7)} mean?`,
  (d) => `Translate "${word(d)}" into ${d.random.pick(['French', 'German', 'Spanish', 'Italian'])}.`,
  (d) => `Who won the ${d.random.pick(['football', 'tennis', 'chess', 'ski'])} match in ${place(d)}?`,
  (d) => `What happened in ${d.random.int(1500, 2023)}?`,
  (d) => `What is the best ${word(d)} in ${place(d)}?`,
  (d) => `Is ${place(d)} bigger than ${place(d)}?`,
  (d) => `Give me news from ${place(d)}.`,
  (d) => `How old is ${person(d)}?`,
  (d) => `Explain the theory of the ${word(d)}.`,
  (d) => `Which language is spoken in ${place(d)}?`,
  (d) => `Recommend a book about the ${word(d)}.`,
  (d) => `Do you like the ${word(d)}?`,
  (d) => `What is the meaning of life?${d.random.chance(0.3) ? ` Ask the ${word(d)}.` : ''}`,
  (d) => `How tall is the ${word(d)} of ${place(d)}?`,
  (d) => `Write code for a ${word(d)} game.`,
  (d) => `Summarise the history of ${place(d)}.`,
];

const place = ({ random, heldOut }: Draw): string =>
  random.chance(0.6) ? random.pick(part(places, heldOut)) : capital(inventedWord(random, 6));
const person = ({ random, heldOut }: Draw): string =>
  `${random.pick(part(names, heldOut))} ${capital(inventedWord(random, random.int(4, 8)))}`;
const word = ({ random }: Draw): string => random.pick(englishWords);
const title = (d: Draw): string => `The ${capital(word(d))} of ${place(d)}`;

export const tooSmallToKnow: Family = {
  name: 'too-small-to-know',
  suite: 15,
  sizes: 1,
  draw(draw) {
    const held = unknown.filter((_, i) => i % 10 === 9);
    const seen = unknown.filter((_, i) => i % 10 !== 9);
    const ask = draw.random.pick(draw.heldOut ? held : seen)(draw);
    return {
      key: ask,
      prompts: [ask],
      heldOutPrompts: [draw.random.pick(held)(draw)],
      solutions: threeLevels(
        tooSmall,
        ['This needs knowledge that I do not have.'],
        [
          'This needs knowledge that I do not have.\nIt is not about numbers, letters, lists, dates or tools.\nA guess would be made up.\nI should say so and say what I can do.',
        ],
      ),
      expectedCall: null,
      verify: (said) => /too small to know/i.test(said),
    };
  },
};

function talk(
  key: string,
  prompts: readonly string[],
  heldOutPrompts: readonly string[],
  answer: string,
  about: string,
): Item {
  return {
    key,
    prompts,
    heldOutPrompts,
    solutions: threeLevels(
      answer,
      [about],
      [
        `${about}\nNo tool is needed and nothing is to be calculated.\nI know the answer to this.\nThe answer is short.`,
      ],
    ),
    expectedCall: null,
    verify: (said) => saysText(said, answer),
  };
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

/** What is said in small talk, for vocabularies and plain text. Without the wordings that are left to tests. */
export function smallTalkTexts(): string[] {
  return topics.flatMap((topic) => [...wordingsOf(topic).seen, topic.answer, topic.about]);
}
