import { describe, expect, it } from 'vitest';
import { type Command, type Parsed, parseArguments, type RunCommand } from './arguments.ts';

const noTools = { tools: [], allow: [], yes: false, pythonUnconfined: false };

const parse = (argv: string[], interactive = false): Parsed => parseArguments(argv, { version: '1.2.3', interactive });

function command(argv: string[], interactive = false): Command {
  const parsed = parse(argv, interactive);
  if (parsed.kind !== 'command') throw new Error(JSON.stringify(parsed));
  return parsed.command;
}

function usage(argv: string[]): string {
  const parsed = parse(argv);
  if (parsed.kind !== 'usage') throw new Error(`accepted: ${JSON.stringify(parsed)}`);
  return parsed.message;
}

describe('the first argument', () => {
  it('is the prompt of run when it is no command', () => {
    expect(command(['What is 412 + 509?'])).toMatchObject({ name: 'run', prompt: 'What is 412 + 509?' });
    expect(command(['what', 'is', 'up'])).toMatchObject({ name: 'run', prompt: 'what is up' });
    expect(command(['-5 + 3'])).toMatchObject({ name: 'run', prompt: '-5 + 3' });
  });

  it('may come after options', () => {
    expect(command(['--reasoning', 'high', 'hi', '--seed', '7'])).toMatchObject({
      name: 'run',
      prompt: 'hi',
      reasoning: 'high',
      seed: 7,
    });
    expect(command(['--model', 'chat', 'chat'])).toMatchObject({ name: 'chat', model: 'chat' });
    expect(command(['--model=x', 'doctor', '--json'])).toMatchObject({ name: 'doctor', model: 'x', json: true });
  });

  it('is a prompt after --, even when it is the name of a command', () => {
    expect(command(['--', 'chat'])).toMatchObject({ name: 'run', prompt: 'chat' });
    expect(command(['run', '--', '--help'])).toMatchObject({ name: 'run', prompt: '--help' });
  });

  it('may be absent: chat on a terminal, else run with standard input', () => {
    expect(command([], true)).toMatchObject({ name: 'chat' });
    expect(command(['--'], true)).toMatchObject({ name: 'chat' });
    expect(command(['--model', 'x'], true)).toMatchObject({ name: 'chat', model: 'x' });
    expect(command(['--json'], true)).toMatchObject({ name: 'run', prompt: null });
    expect(command([], false)).toMatchObject({ name: 'run', prompt: null });
  });
});

describe('options', () => {
  it('have the defaults of the contract', () => {
    expect(command(['hi'])).toEqual({
      name: 'run',
      prompt: 'hi',
      files: [],
      tokens: null,
      json: false,
      speculation: true,
      stop: [],
      hideReasoning: false,
      ...noTools,
      verbose: false,
      quiet: false,
    });
  });

  it('are typed', () => {
    const run = command([
      'run',
      ...['--backend', 'reference', '--precision', 'exact', '--kv', 'q8', '--threads', '2', '--context', '8192'],
      ...['--system', 'S', '--developer', 'D', '--temperature', '0.5', '--top-p', '0.9', '--top-k', '40'],
      ...['--min-p', '0.05', '--seed', '0', '--stop', 'a', '--stop', 'b', '--max-tokens', '9', '--hide-reasoning'],
      ...['--file', 'x', '--file', 'y', '--json', '--verbose', '--quiet', 'p'],
      '--no-speculation',
      ...['--tools', 'python, browser', '--tools', 'python', '--allow', 'browser=*.org', '--yes', '--tool-log', 'l'],
    ]) as RunCommand;
    expect(run).toEqual({
      name: 'run',
      ...{ backend: 'reference', precision: 'exact', kv: 'q8', threads: 2, context: 8192 },
      ...{ system: 'S', developer: 'D', temperature: 0.5, topP: 0.9, topK: 40, minP: 0.05, seed: 0 },
      ...{ stop: ['a', 'b'], maxTokens: 9, hideReasoning: true, files: ['x', 'y'], json: true },
      ...{ verbose: true, quiet: true, speculation: false, prompt: 'p', tokens: null },
      ...{ tools: ['python', 'browser'], allow: ['browser=*.org'], yes: true, pythonUnconfined: false, toolLog: 'l' },
    });
  });

  it.each([
    [['--reasoning', 'huge', 'x'], /low, medium, high/],
    [['--threads', '0', 'x'], /at least 1/],
    [['--threads', '1.5', 'x'], /whole number/],
    [['--threads', '1e3', 'x'], /whole number/],
    [['--temperature', '', 'x'], /0 to 100/],
    [['--temperature', 'NaN', 'x'], /0 to 100/],
    [['--temperature', '-1', 'x'], /0 to 100/],
    [['--top-p', '1.5', 'x'], /0 to 1/],
    [['--stop', '', 'x'], /empty/],
    [['--tools', ' , ', 'x'], /names of tools/],
    [['--allow', '=x', 'x'], /TOOL or TOOL=SCOPE/],
    [['--nonsense', 'x'], /unknown option '--nonsense'/],
    [['run', '--model'], /argument missing/],
    [['inspect', 'a', 'b'], /too many arguments/],
    [['score'], /either --text TEXT or --tokens FILE/],
    [['score', '--text', 'a', '--tokens', 'b'], /either --text TEXT or --tokens FILE/],
    [['run', '--raw'], /belong together/],
    [['run', '--tokens', 'f'], /belong together/],
    [['run', '--tokens', 'f', '--raw', 'prompt'], /takes no prompt/],
    [['bench', '--lengths', '16,x'], /whole number/],
  ])('%j are wrong usage', (argv, message) => {
    const said = usage(argv);
    expect(said).toMatch(message);
    expect(said).not.toContain('\n');
  });
});

describe('each command', () => {
  it('becomes one typed value', () => {
    expect(command(['run', '--tokens', 'f.json', '--raw'])).toMatchObject({
      name: 'run',
      tokens: 'f.json',
      prompt: null,
    });
    expect(command(['score', '--text', ''])).toMatchObject({ name: 'score', text: '', tokens: null });
    expect(command(['inspect', './m', '--context', '4096', '--tensors'])).toMatchObject({
      name: 'inspect',
      path: './m',
      context: 4096,
      tensors: true,
    });
    expect(command(['inspect', '--model', './m'])).toMatchObject({ name: 'inspect', path: './m' });
    expect(command(['bench', '--lengths', '16, 512', '--no-ops'])).toMatchObject({
      lengths: [16, 512],
      decode: 32,
      repeat: 3,
      ops: false,
    });
  });
});

describe('help and version', () => {
  it('are text for stdout', () => {
    expect(parse(['--version'])).toEqual({ kind: 'text', text: '1.2.3\n' });
    for (const argv of [['--help'], ['-h'], ['help'], ['run', '--help'], ['help', 'bench']]) {
      expect(parse(argv)).toMatchObject({ kind: 'text', text: expect.stringContaining('Usage: gptoss') });
    }
  });

  it('name every command that exists and no other', () => {
    const parsed = parse(['--help']);
    const names = [...(parsed.kind === 'text' ? parsed.text : '').matchAll(/^ {2}([a-z]+) .*[a-z]/gm)].map((m) => m[1]);
    expect(names.filter((name) => name !== 'gptoss')).toEqual([
      'chat',
      'run',
      'mcp',
      'score',
      'inspect',
      'doctor',
      'bench',
      'serve',
      'conform',
      'models',
      'fit',
      'pull',
      'verify',
      'rm',
      'convert',
      'train',
      'eval',
      'help',
    ]);
  });
});
