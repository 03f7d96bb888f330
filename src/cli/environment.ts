// The environment as values, read once. Only this file (and hub/roots.ts for the stores) looks at variables; everything
// below gets what it needs as arguments. An empty variable counts as absent.

export interface Environment {
  /** GPTOSS_ISA: force a variant of the native kernels. */
  readonly isa: string | null;
  /** GPTOSS_API_KEY: what clients of `serve` must send. */
  readonly apiKey?: string;
  /** GPTOSS_JUDGE_API_KEY: what the judge of an evaluation wants. */
  readonly judgeKey?: string;
  /** BRAVE_API_KEY, EXA_API_KEY: of search engines. */
  readonly braveKey?: string;
  readonly exaKey?: string;
  /** CI: never ask, never animate. */
  readonly ci: boolean;
  readonly noColour: boolean;
  /** PATH: where Deno is looked for. */
  readonly path: string;
  /** A terminal that cannot move its cursor. */
  readonly dumb: boolean;
}

export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  return {
    isa: env['GPTOSS_ISA'] || null,
    ...(env['GPTOSS_API_KEY'] ? { apiKey: env['GPTOSS_API_KEY'] } : {}),
    ...(env['GPTOSS_JUDGE_API_KEY'] ? { judgeKey: env['GPTOSS_JUDGE_API_KEY'] } : {}),
    ...(env['BRAVE_API_KEY'] ? { braveKey: env['BRAVE_API_KEY'] } : {}),
    ...(env['EXA_API_KEY'] ? { exaKey: env['EXA_API_KEY'] } : {}),
    ci: !/^(|0|false|no)$/i.test(env['CI'] ?? ''),
    noColour: (env['NO_COLOR'] ?? '') !== '',
    path: env['PATH'] ?? '',
    dumb: env['TERM'] === 'dumb',
  };
}
