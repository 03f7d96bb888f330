// An item as a conversation: system message with the reasoning level, declared tools, earlier turns, the question, and
// the solution of that level; with a general tool offered, the solution that uses it. Also the prompt alone, for
// evaluation and rollouts. Slips are remembered as places in the text, so that they can be left out of the loss.
// Next: ../data/examples.ts (to tokens), ../data/mixture.ts (which item, level and tool).

import { builtinTool } from '../../text/harmony/builtin-tools.ts';
import type {
  DeveloperContent,
  FunctionDefinition,
  Message,
  ReasoningEffort,
  SystemContent,
  ToolNamespace,
} from '../../text/harmony/messages.ts';
import { pythonJson } from './function-concepts.ts';
import { analysis, type DrawnItem, type GeneralTool, type Item, type Solution, type Step } from './item.ts';
import type { Random } from './random.ts';

export interface Setting {
  readonly level: ReasoningEffort;
  readonly tool: GeneralTool;
  /** Wordings that only tests use. */
  readonly heldOut: boolean;
}

/** Characters [start, end) of a message's text that are read but not learned. */
export interface Unlearned {
  readonly message: number;
  readonly start: number;
  readonly end: number;
}

export interface TaskConversation {
  readonly item: DrawnItem;
  readonly setting: Setting;
  readonly messages: readonly Message[];
  /** How many of the messages are the prompt; the rest is the solution. */
  readonly promptLength: number;
  readonly unlearned: readonly Unlearned[];
}

export const tinyIdentity = 'You are a tiny gpt-oss model.';

export function conversationOf(item: DrawnItem, setting: Setting, random: Random): TaskConversation {
  const prompt = promptMessages(item, setting, random);
  const solution = canUse(item, setting.tool) ? toolSolution(item, setting, prompt) : item.solutions[setting.level];
  const { messages, unlearned } = solutionMessages(solution, prompt.length);
  return { item, setting, messages: [...prompt, ...messages], promptLength: prompt.length, unlearned };
}

/** Whether this tool solves the item (a tool may also be offered where it does not help). */
export function canUse(item: Item, tool: GeneralTool): boolean {
  if (tool === 'none' || item.tool === undefined) return false;
  return tool === 'python' || item.tool.expression !== undefined;
}

function promptMessages(item: DrawnItem, { level, tool, heldOut }: Setting, random: Random): Message[] {
  const functions = [...(item.functions ?? [])];
  if (tool === 'calculate') functions.splice(random.int(0, functions.length), 0, calculator(random));
  const instructions = item.instructions ?? null;
  const developer: DeveloperContent = { type: 'developer', instructions, functions };
  const asked = random.pick(heldOut && item.heldOutPrompts.length > 0 ? item.heldOutPrompts : item.prompts);
  return [
    { role: 'system', content: [systemContent(level, tool === 'python' ? [pythonTool(random)] : [], random)] },
    ...(instructions !== null || functions.length > 0 ? [{ role: 'developer', content: [developer] } as const] : []),
    ...(item.history ?? []),
    { role: 'user', content: withToolAsked(asked, item, tool, random) },
  ];
}

/** Some people name the tool they want, also when it is not there. */
function withToolAsked(asked: string, item: Item, tool: GeneralTool, random: Random): string {
  if (item.tool === undefined || !random.chance(0.06)) return asked;
  const words = item.tool.expression !== undefined && tool !== 'python' ? 'the calculator' : 'python';
  return random.pick([`Use ${words}: ${asked}`, `${asked} Use ${words}.`, `With ${words}: ${asked}`]);
}

/** The published head in a third of the conversations, the short one of the tiny model otherwise: what is read and not
 *  learned costs as much as what is. */
function systemContent(level: ReasoningEffort, tools: readonly ToolNamespace[], random: Random): SystemContent {
  const isShort = random.chance(0.65);
  const hasDate = random.chance(isShort ? 0.1 : 0.8);
  const two = (n: number): string => String(n).padStart(2, '0');
  return {
    type: 'system',
    ...(isShort ? { identity: tinyIdentity, knowledgeCutoff: null } : {}),
    currentDate: hasDate ? `${random.int(2024, 2028)}-${two(random.int(1, 12))}-${two(random.int(1, 28))}` : null,
    effort: level,
    tools,
  };
}

function calculator(random: Random): FunctionDefinition {
  const [name, description, parameter] = random.pick([
    ['calculate', 'Evaluates an arithmetic expression.', 'expression'],
    ['calculate', 'Calculates the value of an expression.', 'expression'],
    ['calculator', 'Works out arithmetic.', 'expression'],
    ['calculate', 'Evaluates an arithmetic expression.', 'formula'],
    ['evaluate', 'Evaluates arithmetic.', 'text'],
    ['compute', 'Computes an expression and returns the number.', 'input'],
  ] as const);
  return {
    name,
    description,
    parameters: { type: 'object', properties: { [parameter]: { type: 'string' } }, required: [parameter] },
  };
}

function pythonTool(random: Random): ToolNamespace {
  return random.chance(0.4)
    ? builtinTool('python').namespace
    : {
        name: 'python',
        text: `## python\n\n${random.pick([
          'Executes Python code and returns what it prints.',
          'Run Python code. Use print to see results.',
          'Runs Python code. The output of print is returned.',
        ])}`,
      };
}

/** The calculator as it is declared in these messages: its name and its parameter's. */
export function declaredCalculator(messages: readonly Message[]): { name: string; parameter: string } | null {
  for (const { role, content } of messages) {
    if (role !== 'developer' || typeof content === 'string') continue;
    for (const part of content) {
      for (const { name, parameters } of part.type === 'developer' ? (part.functions ?? []) : []) {
        if (!/^(calculat|evaluate|compute)/.test(name)) continue;
        const parameter = Object.keys((parameters as { properties?: object } | null)?.properties ?? {})[0];
        if (parameter !== undefined) return { name, parameter };
      }
    }
  }
  return null;
}

function toolSolution(item: Item, { level, tool }: Setting, prompt: readonly Message[]): Solution {
  const { expression = '', code, result } = item.tool!;
  const calculate = tool === 'calculate' ? declaredCalculator(prompt) : null;
  const isPython = calculate === null;
  const call: Step = isPython
    ? { kind: 'call', to: 'python', content: code, result }
    : {
        kind: 'call',
        to: `functions.${calculate.name}`,
        content: pythonJson({ [calculate.parameter]: expression }),
        result,
      };
  const { final } = item.solutions[level];
  if (level === 'low') return { steps: [call], final };
  const before = isPython ? 'I use python.' : 'I use the calculator.';
  if (level === 'medium') return { steps: [analysis(before), call], final };
  const why = isPython ? 'The user asks for a result that python can compute.' : `The user wants ${expression}.`;
  return { steps: [analysis(`${why} ${before}`), call, analysis(`The tool says ${result}.`)], final };
}

/** `offset`: how many messages come before. */
export function solutionMessages(
  { steps, final }: Solution,
  offset: number,
): { messages: Message[]; unlearned: Unlearned[] } {
  const messages: Message[] = [];
  const unlearned: Unlearned[] = [];
  for (const step of steps) {
    if (step.kind === 'analysis') {
      let content = '';
      for (const { text, isSlip } of step.pieces) {
        if (isSlip === true) {
          unlearned.push({
            message: offset + messages.length,
            start: content.length,
            end: content.length + text.length,
          });
        }
        content += text;
      }
      messages.push({ role: 'assistant', channel: 'analysis', content });
    } else messages.push(...callMessages(step));
  }
  messages.push({ role: 'assistant', channel: 'final', content: final });
  return { messages, unlearned };
}

export function callMessages({ to, content, result }: Extract<Step, { kind: 'call' }>): [Message, Message] {
  const isPython = to === 'python';
  const channel = isPython ? 'analysis' : 'commentary';
  return [
    {
      role: 'assistant',
      channel,
      recipient: to,
      contentType: isPython ? 'code' : '<|constrain|>json',
      content,
    },
    { role: 'tool', name: to, recipient: 'assistant', channel, content: result },
  ];
}
