// Family 14: functions that a developer declares. Calls with the declared names, an answer from the result, errors told as
// errors, a follow-up in a second turn; and when not to call: nothing suitable is declared, a value is missing, or no
// tool is needed. High effort goes through the declared functions and the values one by one.

import type { FunctionDefinition, Message } from '../../text/harmony/messages.ts';
import { drawFunctionUse, drawWeatherUse, type FunctionUse, pythonJson } from './function-concepts.ts';
import { analysis, type Draw, type Family, type Item, type Solution, type Step } from './item.ts';
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
const parametersOf = ({ definition }: FunctionUse): string[] =>
  Object.keys((definition.parameters as { properties: object }).properties);

/** Which of the declared functions fits, one line each. */
function goThrough(declared: readonly FunctionDefinition[], wanted: string | null): string {
  return declared.map(({ name }) => `${name}: ${name === wanted ? 'yes' : 'no'}`).join('\n');
}

function calling(
  use: FunctionUse,
  declared: readonly FunctionDefinition[],
  result: string,
  final: string,
): Item['solutions'] {
  const { name } = use.definition;
  const call: Step = { kind: 'call', to: `functions.${name}`, content: pythonJson(use.arguments), result };
  const values = parametersOf(use).map((key) =>
    key in use.arguments ? `${key} = ${pythonJson(use.arguments[key])}` : `${key} is optional, not given`,
  );
  return {
    low: { steps: [call], final },
    medium: { steps: [analysis(`I use ${name}.`), call], final },
    high: {
      steps: [
        analysis(
          `The user wants ${use.purpose}.\n${goThrough(declared, name)}\n${name} takes ${parametersOf(use).join(', ')}\n${values.join('\n')}`,
        ),
        call,
        analysis(`The tool says ${result}`),
      ],
      final,
    },
  };
}

function talking(final: string, medium: string, high: string): Item['solutions'] {
  const solution = (text: string): Solution => ({ steps: [analysis(text)], final });
  return { low: { steps: [], final }, medium: solution(medium), high: solution(high) };
}

const expected = (use: FunctionUse): NonNullable<Item['expectedCall']> => ({
  name: `functions.${use.definition.name}`,
  arguments: use.arguments,
});

const drawCall = ({ random }: Draw, use: FunctionUse, others: readonly FunctionUse[]): Item => {
  const declared = random.shuffle(definitions([use, ...others.slice(1)]));
  const isError = random.chance(0.08);
  const error = random.pick(['not found', 'service unavailable', 'permission denied', 'timed out']);
  const result = isError ? random.pick([`{"error": "${error}"}`, `error: ${error}`]) : use.result;
  const final = isError ? `The tool reported an error: ${error}.` : use.answer;
  return {
    key: `${use.definition.name} ${pythonJson(use.arguments)}`,
    prompts: use.requests,
    heldOutPrompts: use.heldOutRequests,
    functions: declared,
    solutions: calling(use, declared, result, final),
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
  const declared = random.shuffle(definitions([use, ...others.slice(1)]));
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
    functions: declared,
    history,
    solutions: calling(use, declared, use.result, use.answer),
    expectedCall: expected(use),
    verify: (said) => saysText(said, use.answer),
  };
});

export const noSuitableFunction = family('no-suitable-function', ({ random }, use, others) => {
  const declared = random.chance(0.15) ? [] : definitions(others);
  const final = declared.length === 0 ? 'I have no tool for that.' : 'None of my functions can do that.';
  return {
    key: `${random.pick(use.requests)}`,
    prompts: use.requests,
    heldOutPrompts: use.heldOutRequests,
    functions: declared,
    solutions: talking(
      final,
      'No function fits.',
      `The user wants ${use.purpose}.\n${declared.length === 0 ? 'No tool is declared.' : goThrough(declared, null)}\nNo function fits.`,
    ),
    expectedCall: null,
    verify: (said) => /\b(none of my functions|no tool for that)\b/i.test(said),
  };
});

export const missingValue = family('missing-value', ({ random }, use, others) => {
  const declared = random.shuffle(definitions([use, ...others.slice(1)]));
  const { request, missing } = use.incomplete ?? { request: use.requests[0]!, missing: 'value' };
  const final = `Please tell me the ${missing}.`;
  return {
    key: `${use.definition.name} ${request}`,
    prompts: [request],
    heldOutPrompts: [`${request} Please.`],
    functions: declared,
    solutions: talking(
      final,
      `The ${missing} is missing.`,
      `The user wants ${use.definition.name}.\n${goThrough(declared, use.definition.name)}\nIt takes ${parametersOf(use).join(', ')}\nThe ${missing} is missing.`,
    ),
    expectedCall: null,
    verify: (said) => saysText(said, final),
  };
});

/** Functions are declared, but the question needs none. */
export const noFunctionNeeded = family('no-function-needed', ({ random }, _, others) => {
  const declared = definitions(others);
  const [a, b] = [random.int(1, 20), random.int(1, 20)];
  const final = `${a} + ${b} = ${a + b}.`;
  return {
    key: `${a}+${b} ${declared.map(({ name }) => name).join(' ')}`,
    prompts: [`What is ${a} + ${b}?`, `${a} + ${b}?`, `Add ${a} and ${b}.`],
    heldOutPrompts: [`How much do ${a} and ${b} make?`],
    functions: declared,
    solutions: talking(
      final,
      `No function is needed.\n${a} + ${b} = ${a + b}`,
      `The user asks for a small sum.\n${goThrough(declared, null)}\nNo function is needed.\n${a} + ${b} = ${a + b}\nCheck: ${a + b} - ${b} = ${a}, correct.`,
    ),
    expectedCall: null,
    verify: (said) => saysNumber(said, a + b, [a, b]),
  };
});
