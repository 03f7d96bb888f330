// Family 14: functions that a developer declares. Calls with the declared names, an answer from the result, errors told as
// errors, a follow-up in a second turn; and when not to call: nothing suitable is declared, a value is missing, or no
// tool is needed. The reasoning says first what is wanted, then of each declared function what it does, in the same words
// where it is that, then the values as the call has them. High reads the description of what was chosen once more.

import type { FunctionDefinition, Message } from '../../text/harmony/messages.ts';
import { drawFunctionUse, drawWeatherUse, type FunctionUse, pythonJson } from './function-concepts.ts';
import { analysis, type Draw, type Family, type Item, type Piece, type Solution, type Step } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { addPieces } from './sums.ts';
import { saysNumber, saysText } from './verify.ts';

/** Size n: n functions are declared. */
function family(
  name: string,
  draw: (draw: Draw, use: FunctionUse, others: FunctionUse[]) => Item,
  drawUse: typeof drawFunctionUse = drawFunctionUse,
): Family {
  return {
    name,
    suite: 14,
    sizes: 4,
    draw(d) {
      const use = drawUse(d);
      const others: FunctionUse[] = [];
      const taken = new Set([use.definition.name]);
      while (others.length < d.size) {
        const other = drawFunctionUse(d);
        if (taken.has(other.definition.name) || other.definition.description === use.definition.description) continue;
        taken.add(other.definition.name);
        others.push(other);
      }
      return draw(d, use, others);
    },
  };
}

const definitions = (uses: readonly FunctionUse[]): FunctionDefinition[] => uses.map(({ definition }) => definition);

/** Up to the function that fits, one line each: `local_time: local time, no`. */
function briefChoice(declared: readonly FunctionUse[], wanted: string): string {
  if (declared.length === 0) return `${wanted}\nNo tool is declared.`;
  const fits = declared.findIndex(({ topic }) => topic === wanted);
  const shown = fits < 0 ? declared : declared.slice(0, fits + 1);
  const lines = shown.map(
    ({ definition, topic }) => `${definition.name}: ${topic}, ${topic === wanted ? 'yes' : 'no'}`,
  );
  return `${wanted}\n${lines.join('\n')}`;
}

/** All functions, each beside what is wanted. A slip takes another one, or none. */
function fullChoice(
  declared: readonly FunctionUse[],
  wanted: string,
  slip: Random | null,
): Attempt<FunctionUse | null> {
  const right = declared.find(({ topic }) => topic === wanted) ?? null;
  const others = [...declared, null].filter((other) => other !== right);
  const chosen = slip === null || others.length === 0 ? right : slip.pick(others);
  const pieces: Piece[] = [{ text: `Wanted: ${wanted}` }];
  for (const use of declared) {
    const isSlip = (use === chosen) !== (use === right);
    pieces.push({ text: `\n${use.definition.name}: ${use.topic}, ${wanted}: ` });
    pieces.push({ text: use === chosen ? 'yes' : 'no', isSlip });
  }
  if (declared.length === 0) pieces.push({ text: '\nNo tool is declared.' });
  else if (chosen === null) pieces.push({ text: '\nNo function fits.' });
  return { pieces, result: chosen };
}

/** By what the declaration says: of the one that was chosen, else of all up to one that fits. */
function checkChoice(declared: readonly FunctionUse[], wanted: string, chosen: FunctionUse | null): Check {
  const says = ({ definition }: FunctionUse): string => `${definition.name}: ${definition.description}`;
  if (chosen !== null) {
    const isRight = chosen.topic === wanted;
    return verdict(`Check ${says(chosen)} ${chosen.topic}${isRight ? '' : `, not ${wanted}`}`, isRight);
  }
  const missed = declared.find(({ topic }) => topic === wanted);
  const shown = missed === undefined ? declared : declared.slice(0, declared.indexOf(missed));
  const lines = shown.map((use) => `${says(use)} Not ${wanted}\n`);
  if (missed !== undefined) return verdict(`Check\n${lines.join('')}${says(missed)} ${wanted}`, false);
  return verdict(`Check\n${lines.join('')}None is ${wanted}`, true);
}

function choosing(declared: readonly FunctionUse[], wanted: string, slip: Random | null): Piece[] {
  if (declared.length === 0) return [...fullChoice(declared, wanted, null).pieces];
  return repaired(
    (slipped) => fullChoice(declared, wanted, slipped),
    (chosen) => checkChoice(declared, wanted, chosen),
    declared.length <= 2 ? slip : null, // longer ones would not fit into what is trained
  );
}

/** The values in the order of the declaration, written as in the call. */
function valuesOf({ declared, arguments: given }: FunctionUse, isFull: boolean): string {
  return declared
    .map(({ name, kind }) => {
      if (!(name in given)) return `\n${name} is optional`;
      return `\n${name}${isFull ? `, ${kind.words}` : ''} = ${pythonJson(given[name])}`;
    })
    .join('');
}

function calling(
  use: FunctionUse,
  declared: readonly FunctionUse[],
  result: string,
  final: string,
  slip: Random | null,
): Item['solutions'] {
  const { name } = use.definition;
  const inOrder = use.declared.filter((parameter) => parameter.name in use.arguments);
  const given = Object.fromEntries(inOrder.map((parameter) => [parameter.name, use.arguments[parameter.name]]));
  const call: Step = { kind: 'call', to: `functions.${name}`, content: pythonJson(given), result };
  return {
    low: { steps: [call], final },
    medium: { steps: [analysis(`${briefChoice(declared, use.topic)}${valuesOf(use, false)}`), call], final },
    high: {
      steps: [
        analysis(...choosing(declared, use.topic, slip), valuesOf(use, true)),
        call,
        analysis(`The tool says ${result}`),
      ],
      final,
    },
  };
}

function talking(
  final: string,
  medium: string | readonly (string | Piece)[],
  high: readonly (string | Piece)[],
): Item['solutions'] {
  const solution = (parts: readonly (string | Piece)[]): Solution => ({ steps: [analysis(...parts)], final });
  return {
    low: { steps: [], final },
    medium: solution(typeof medium === 'string' ? [medium] : medium),
    high: solution(high),
  };
}

const expected = (use: FunctionUse): NonNullable<Item['expectedCall']> => ({
  name: `functions.${use.definition.name}`,
  arguments: use.arguments,
});

const drawCall = (draw: Draw, use: FunctionUse, others: readonly FunctionUse[]): Item => {
  const { random } = draw;
  const declared = random.shuffle([use, ...others.slice(1)]);
  const isError = random.chance(0.08);
  const error = random.pick(['not found', 'service unavailable', 'permission denied', 'timed out']);
  const result = isError ? random.pick([`{"error": "${error}"}`, `error: ${error}`]) : use.result;
  const final = isError ? `The tool reported an error: ${error}.` : use.answer;
  return {
    key: `${use.definition.name} ${pythonJson(use.arguments)}`,
    prompts: use.requests,
    heldOutPrompts: use.heldOutRequests,
    functions: definitions(declared),
    solutions: calling(use, declared, result, final, slipOf(draw)),
    expectedCall: expected(use),
    verify: (said) => saysText(said, final),
  };
};

export const functionCall = family('function-call', drawCall);
/** Only the weather: part of what small models are compared on, not a family of its own in training. */
export const weatherCall = family(
  'weather-call',
  (draw, use, others) => {
    const item = drawCall(draw, use, others);
    return { ...item, sameAs: { family: 'function-call', key: item.key } };
  },
  drawWeatherUse,
);

/** A second request right after a first one that was answered with the same function. */
export const functionFollowUp = family('function-follow-up', (draw, use, others) => {
  const { random } = draw;
  const declared = random.shuffle([use, ...others.slice(1, 2)]); // two turns are long enough
  const first = use.again(draw);
  const history: Message[] = [
    { role: 'user', content: random.pick(first.requests) },
    {
      role: 'assistant',
      channel: 'commentary',
      recipient: `functions.${use.definition.name}`,
      contentType: '<|constrain|>json',
      content: pythonJson(first.arguments),
    },
    {
      role: 'tool',
      name: `functions.${use.definition.name}`,
      recipient: 'assistant',
      channel: 'commentary',
      content: first.result,
    },
    { role: 'assistant', channel: 'final', content: first.answer },
  ];
  return {
    key: `${use.definition.name} ${pythonJson(use.arguments)}`,
    prompts: [use.followUp, use.requests[0]!],
    heldOutPrompts: use.heldOutRequests,
    functions: definitions(declared),
    history,
    solutions: calling(use, declared, use.result, use.answer, null),
    expectedCall: expected(use),
    verify: (said) => saysText(said, use.answer),
  };
});

export const noSuitableFunction = family('no-suitable-function', (draw, use, others) => {
  const { random } = draw;
  const declared = random.chance(0.15) ? [] : others;
  const final = declared.length === 0 ? 'I have no tool for that.' : 'None of my functions can do that.';
  return {
    key: `${random.pick(use.requests)}`,
    prompts: use.requests,
    heldOutPrompts: use.heldOutRequests,
    functions: definitions(declared),
    solutions: talking(
      final,
      `${briefChoice(declared, use.topic)}${declared.length === 0 ? '' : '\nNo function fits.'}`,
      choosing(declared, use.topic, slipOf(draw)),
    ),
    expectedCall: null,
    verify: (said) => /\b(none of my functions|no tool for that)\b/i.test(said),
  };
});

export const missingValue = family('missing-value', (draw, use, others) => {
  const { random } = draw;
  const declared = random.shuffle([use, ...others.slice(1)]);
  const { request, missing } = use.incomplete ?? { request: use.requests[0]!, missing: 'value' };
  const final = `Please tell me the ${missing}.`;
  // The first one that has to be given is the one that is not there; what is optional may stand before it.
  const first = use.declared.indexOf(use.parameters[0]!);
  const before = use.declared.slice(0, first).map(({ name }) => `\n${name} is optional`);
  const end = `${before.join('')}\n${use.parameters[0]!.name} is not given\nThe ${missing} is missing.`;
  return {
    key: `${use.definition.name} ${request}`,
    prompts: [request, `Hi! ${request}`, `${request} Thanks.`, `I have a wish: ${request}`],
    heldOutPrompts: [`${request} Please.`],
    functions: definitions(declared),
    solutions: talking(final, `${briefChoice(declared, use.topic)}${end}`, [
      ...choosing(declared, use.topic, slipOf(draw)),
      end,
    ]),
    expectedCall: null,
    verify: (said) => saysText(said, final),
  };
});

/** Functions are declared, but the question needs none. */
export const noFunctionNeeded = family('no-function-needed', ({ random }, _, others) => {
  const [a, b] = [random.int(1, 20), random.int(1, 20)];
  const final = `${a} + ${b} = ${a + b}.`;
  const { medium, high } = addPieces(a, b, null);
  return {
    key: `${a}+${b} ${others.map(({ definition }) => definition.name).join(' ')}`,
    prompts: [
      `What is ${a} + ${b}?`,
      `${a} + ${b}?`,
      `Add ${a} and ${b}.`,
      `Tell me ${a} + ${b}.`,
      `What do you get for ${a} + ${b}?`,
      `Sum of ${a} and ${b}?`,
    ],
    heldOutPrompts: [`How much do ${a} and ${b} make?`],
    functions: definitions(others),
    solutions: talking(
      final,
      ['No function is needed.\n', ...medium],
      [
        `Wanted: small sum\n${others.map(({ definition, topic }) => `${definition.name}: ${topic}, no`).join('\n')}\nNo function is needed.\n`,
        ...high,
      ],
    ),
    expectedCall: null,
    verify: (said) => saysNumber(said, a + b, [a, b]),
  };
});
