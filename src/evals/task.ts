// What an evaluation is made of: samples (an item at a setting, asked once), the question each puts, the answer that comes
// back, and the grade. A suite is a list of samples; who answers (an engine in this process, any URL) is somebody else's
// business, and so are files. Next: runner.ts (asks), summary.ts (counts), suites.ts (which suites there are).

import type { Message, ReasoningEffort } from '../text/harmony/messages.ts';
import type { Judge } from './judge.ts';

/** Where a sample belongs; results are counted per cell. Empty strings where a suite has no such distinction. */
export interface Cell {
  /** Family, subject or category. */
  readonly group: string;
  /** Which set of items: `plain`, `template`, `harder` of the tiny suite; else the name of the benchmark. */
  readonly set: string;
  readonly tools: 'off' | 'on';
  readonly level: ReasoningEffort;
  readonly sampling: 'greedy' | 'sampled';
}

/** A call of a tool that the sample itself answers. */
export interface CalledTool {
  readonly name: string; // as in the recipient: functions.NAME, python
  readonly arguments: unknown; // parsed JSON; undefined where it is none
  readonly text: string;
}

export interface Question {
  /** A harmony conversation. A plain `system` or `developer` text means instructions; a structured system message is
   *  rendered as it is. */
  readonly messages: readonly Message[];
  readonly level: ReasoningEffort;
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens?: number;
  /** Tools that are declared in the messages, by bare name, and who answers their calls. */
  readonly tools?: { readonly functions: readonly string[]; readonly builtins: readonly string[] };
  readonly maxCalls?: number;
  /** How calls of the history are written (text/harmony/render.ts). */
  readonly callHeader?: 'recipient-first' | 'channel-first';
  /** False: the model may repeat itself until its tokens are spent. */
  readonly loopGuard?: boolean;
  /** Reasoning that was written already: the model goes on in the middle of it. Only asked of a model opened here. */
  readonly begun?: string;
  call?(called: CalledTool): string;
}

export interface Answer {
  /** The final message. */
  readonly text: string;
  readonly reasoning: string;
  /** stop: an answer; length: cut off; tool_calls: a call that nobody answers. */
  readonly finish: 'stop' | 'length' | 'tool_calls';
  /** The model's own final message, not something shown in its place. */
  readonly isFinal: boolean;
  /** What a strict reader of harmony would have had to repair; null: not visible from here (a URL). */
  readonly isMalformed: boolean | null;
  readonly calls: number;
  readonly usage: {
    readonly promptTokens: number;
    readonly completionTokens: number;
    /** Null: the server does not say. */
    readonly reasoningTokens: number | null;
  };
  readonly ms: number;
}

export interface Grade {
  /** 0 … 1 as a rule; HealthBench's may be negative. Null: it could not be judged (`error` says why). */
  readonly score: number | null;
  /** What was taken as the answer. */
  readonly extracted?: string | null;
  readonly error?: string;
  /** Further numbers of this sample, e.g. `callExact`, `confidence`. */
  readonly extra?: Readonly<Record<string, number | string | boolean | null>>;
}

export interface Sample {
  /** Of the run: names the sample in its journal. */
  readonly key: string;
  readonly cell: Cell;
  readonly repeat: number;
  /** Made when it is asked: it may be costly, and hold the state of an environment. Null: there is no such problem. */
  prepare(): Asked | null;
}

export interface Asked {
  /** Equal for the same problem: repeats are gathered, and levels, models and settings compared, on it. */
  readonly item: string;
  readonly question: Question;
  grade(answer: Answer, judge: Judge | null): Grade | Promise<Grade>;
}

export interface Answerer {
  /** Model, and where it runs. */
  readonly description: string;
  answer(question: Question, signal: AbortSignal): Promise<Answer>;
  close(): Promise<void>;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  readonly samples: readonly Sample[];
  /** What has to be the same for a run to go on: options, version of the data, its hash. */
  readonly identity: Readonly<Record<string, unknown>>;
  readonly needsJudge: boolean;
  /** Things to say with the result, e.g. items left out. */
  readonly notes: readonly string[];
}

export function cellName({ group, set, tools, level, sampling }: Cell): string {
  return [group, set, `tools-${tools}`, level, sampling].filter((part) => part !== '').join('/');
}
