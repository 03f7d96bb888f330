// One chat: messages go to the speaker, lines that start with a slash are commands. Ctrl-C stops an answer, not the
// chat; an answer that was stopped stays in the conversation as far as it came. Reads no keyboard itself: chat-input.ts
// hands in whole messages, tests hand in strings.

import { readFileSync, writeFileSync } from 'node:fs';
import type { Source, ToolFile } from '../../agent/tool.ts';
import { GptOssError } from '../../errors.ts';
import { AnswerPrinter } from '../answer-printer.ts';
import type { Effort } from '../arguments.ts';
import { describeError } from '../describe-error.ts';
import { stripControls } from '../screen/controls.ts';
import type { Listener, Reply, Sampling, Speaker } from '../speaker.ts';
import { styled, type Terminal } from '../terminal.ts';
import { documentText } from '../tools/cited-document.ts';
import { saveFiles } from '../tools/save-files.ts';
import { showTool } from '../tools/show-tools.ts';
import { type Conversation, conversationJson, readConversation } from './conversation.ts';

export interface ChatOptions {
  readonly effort: Effort | null;
  readonly system: string | null;
  readonly developer: string | null;
  readonly sampling: Sampling;
  readonly hideReasoning: boolean;
  readonly verbose: boolean;
  /** Whether calls of tools may be asked about: forgets what was allowed. */
  readonly onReset?: () => void;
}

export const CHAT_HELP = `  /effort low|medium|high   how long to think before answering
  /system TEXT              who the model is: first line of the system message
  /developer TEXT           instructions for the model (alone: none)
  /retry                    answer the last message again
  /reset                    forget the conversation
  /tools                    what the model may use (start with --tools python)
  /source [N]               pages that the last answer cites; read one of them
  /files [FOLDER]           files and figures that tools made; save them there
  /save FILE  /load FILE    keep a conversation, go on with it later
  /help                     this list
  /quit                     leave (also Ctrl-D)
  Ctrl-C                    stop the answer; at an empty prompt, twice: leave
  Several lines: end each with \\, or put \`\`\` before and after, or paste them.`;

export class Chat {
  readonly #speaker: Speaker;
  readonly #terminal: Terminal;
  readonly #options: ChatOptions;
  #conversation: Conversation;
  #abort: AbortController | null = null;
  /** Retries take another road: each adds one to the seed. */
  #retries = 0;
  /** Files and figures of tools by name, the latest of each. */
  readonly #made = new Map<string, ToolFile>();
  /** What the last answer cites, each page once. */
  #sources: readonly Source[] = [];
  /** The file of this conversation, which /save may write over. */
  #file: string | null = null;

  constructor(speaker: Speaker, terminal: Terminal, options: ChatOptions) {
    this.#speaker = speaker;
    this.#terminal = terminal;
    this.#options = options;
    this.#conversation = this.#empty();
  }

  /** Ctrl-C: true when it stopped an answer, false when there was none. */
  interrupt(): boolean {
    if (this.#abort === null) return false;
    this.#abort.abort();
    return true;
  }

  /** Deals with one message or command; false when the chat is over. Never throws for what a user can cause. */
  async handle(input: string): Promise<boolean> {
    const command = /^\/([a-z]+)(?:\s+([\s\S]*))?$/.exec(input.trim());
    try {
      if (command !== null) return await this.#command(command[1]!, command[2]?.trim() ?? '');
      if (input.trim() !== '') await this.#say(input);
    } catch (error) {
      this.#notice(describeError(error, this.#options.verbose), 'red');
    }
    return true;
  }

  async #command(name: string, argument: string): Promise<boolean> {
    const conversation = this.#conversation;
    switch (name) {
      case 'quit':
      case 'exit':
        return false;
      case 'help':
        this.#terminal.err.write(`${CHAT_HELP}\n`);
        return true;
      case 'effort':
        if (argument === 'low' || argument === 'medium' || argument === 'high') conversation.effort = argument;
        else if (argument !== '') throw new GptOssError('invalid-request', EFFORTS(argument));
        this.#notice(`reasoning effort: ${conversation.effort ?? 'medium'}`);
        return true;
      case 'system':
        conversation.system = argument === '' ? null : argument;
        this.#notice(argument === '' ? 'system message: as the model was trained' : 'system message set');
        return true;
      case 'developer':
        conversation.developer = argument === '' ? null : argument;
        this.#notice(argument === '' ? 'no instructions' : 'instructions set');
        return true;
      case 'tools':
        await this.#listTools();
        return true;
      case 'files':
        this.#files(argument);
        return true;
      case 'source':
      case 'sources':
        await this.#source(argument);
        return true;
      case 'reset':
        conversation.said = [];
        this.#made.clear();
        this.#sources = [];
        this.#options.onReset?.();
        await this.#speaker.forget?.();
        this.#notice('conversation forgotten');
        return true;
      case 'retry':
        await this.#retry();
        return true;
      case 'save':
        this.#save(argument);
        return true;
      case 'load':
        this.#load(argument);
        return true;
      default:
        this.#notice(`no command /${name}; /help lists them`, 'yellow');
        return true;
    }
  }

  async #retry(): Promise<void> {
    const { said } = this.#conversation;
    const last = said.findLastIndex((message) => message.role === 'user');
    if (last < 0) {
      this.#notice('nothing to answer again yet', 'yellow');
      return;
    }
    this.#retries++;
    const { text } = said[last]!;
    this.#conversation.said = said.slice(0, last);
    await this.#say(text);
  }

  async #say(text: string): Promise<void> {
    const conversation = this.#conversation;
    const before = conversation.said;
    conversation.said = [...before, { role: 'user', text }];
    const { err } = this.#terminal;
    const newPrinter = (): AnswerPrinter =>
      new AnswerPrinter(this.#terminal, { showReasoning: !this.#options.hideReasoning });
    let printer = newPrinter();
    printer.wait();
    const listener: Listener = {
      reasoning: (piece) => printer.reasoning(piece),
      text: (piece) => printer.text(piece),
      tool: (event) => {
        if (event.type === 'start') printer.end();
        showTool(event, err);
        if (event.type === 'start') return;
        for (const file of event.files) this.#made.set(file.name, file);
        printer = newPrinter();
      },
    };
    this.#abort = new AbortController();
    const { seed } = this.#options.sampling;
    const sampling =
      seed === undefined ? this.#options.sampling : { ...this.#options.sampling, seed: seed + this.#retries };
    let reply: Reply;
    try {
      reply = await this.#speaker.reply(conversation, sampling, listener, this.#abort.signal);
    } catch (error) {
      conversation.said = before; // the message did not arrive; it can be sent again
      throw error;
    } finally {
      this.#abort = null;
      printer.end();
    }
    const { text: answer, reasoning, history } = reply;
    this.#sources = [...new Map(reply.citations.map(({ url, title }) => [url, { url, title }])).values()];
    const isStopped = reply.finishReason === 'aborted';
    if (isStopped && answer === '') conversation.said = before;
    else conversation.said.push({ role: 'assistant', text: answer, reasoning, history });
    if (!isStopped) this.#showEnding(reply);
    else this.#notice(answer === '' ? 'stopped; the message was taken back' : 'stopped');
  }

  async #listTools(): Promise<void> {
    const tools = (await this.#speaker.tools?.()) ?? null;
    if (tools === null) this.#notice('no tools; start with --tools python');
    else for (const line of tools) this.#notice(stripControls(line));
  }

  #files(folder: string): void {
    if (this.#made.size === 0) {
      this.#notice('no files yet');
      return;
    }
    if (folder === '') {
      for (const { name, bytes } of this.#made.values()) this.#notice(`${stripControls(name)} (${bytes.length} bytes)`);
      this.#notice('/files FOLDER saves them');
      return;
    }
    for (const path of saveFiles([...this.#made.values()], folder)) this.#notice(`saved ${stripControls(path)}`);
  }

  async #source(argument: string): Promise<void> {
    const number = Number(argument || 'NaN');
    const source = this.#sources[number - 1];
    if (source === undefined) {
      if (this.#sources.length === 0) this.#notice('the last answer cites nothing');
      this.#showSources();
      return;
    }
    const document = (await this.#speaker.document?.(source.url)) ?? null;
    const { err } = this.#terminal;
    if (document === null) this.#notice(`${stripControls(source.title)}: ${stripControls(source.url)}`);
    else err.write(`${documentText(document, source.url, err)}\n`);
  }

  #showSources(): void {
    for (const [i, { title, url }] of this.#sources.entries()) {
      this.#notice(`[${i + 1}] ${stripControls(title)} · ${stripControls(url)}`);
    }
  }

  #showEnding(reply: Reply): void {
    for (const call of reply.toolCalls) {
      this.#notice(
        `the model asked for ${stripControls(call.name)}(${stripControls(call.arguments)}), which this chat does not have`,
        'yellow',
      );
    }
    if (this.#sources.length > 0 && this.#terminal.err.isTerminal) {
      this.#showSources();
      this.#notice('/source N shows one');
    }
    if (reply.isLoop) this.#notice('ended: the answer repeated itself', 'yellow');
    else if (reply.finishReason === 'length') this.#notice('cut off: the token limit was reached', 'yellow');
    if (!this.#terminal.err.isTerminal && !this.#options.verbose) return;
    const { usage, timings } = reply;
    const rate = timings.decodeMs > 0 ? (usage.completionTokens - 1) / (timings.decodeMs / 1000) : 0;
    const parts = [
      `${usage.completionTokens} tokens`,
      ...(rate > 0 ? [`${rate < 100 ? rate.toFixed(1) : Math.round(rate)} tokens/s`] : []),
      `first after ${(timings.firstTokenMs / 1000).toFixed(2)} s`,
    ];
    if (this.#options.verbose) parts.push(`prompt ${usage.promptTokens} (${usage.cachedTokens} reused)`);
    this.#notice(parts.join(' · '));
  }

  #save(path: string): void {
    const file = path || this.#file;
    if (file === null) {
      this.#notice('say where: /save FILE', 'yellow');
      return;
    }
    const json = conversationJson(this.#conversation, this.#speaker.name);
    try {
      writeFileSync(file, json, { flag: file === this.#file ? 'w' : 'wx' });
    } catch (error) {
      const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
      const what = exists ? `${file} exists already; expected a new name; choose another` : `cannot write ${file}`;
      throw new GptOssError('io', exists ? what : `${what}; expected a writable place; choose another`, {
        cause: error,
      });
    }
    this.#file = file;
    this.#notice(`saved to ${file}`);
  }

  #load(path: string): void {
    if (path === '') {
      this.#notice('say which: /load FILE', 'yellow');
      return;
    }
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (error) {
      throw new GptOssError('io', `cannot read ${path}; expected a file written by /save; check the name`, {
        cause: error,
      });
    }
    this.#conversation = readConversation(json, path);
    this.#file = path;
    this.#notice(`${this.#conversation.said.length} messages loaded`);
    const last = this.#conversation.said.at(-1);
    if (last?.role === 'assistant') {
      const printer = new AnswerPrinter(this.#terminal, { showReasoning: false });
      printer.text(last.text);
      printer.end();
    }
  }

  #empty(): Conversation {
    const { effort, system, developer } = this.#options;
    return { said: [], effort, system, developer };
  }

  #notice(text: string, style: 'dim' | 'yellow' | 'red' = 'dim'): void {
    this.#terminal.err.write(`${styled(this.#terminal.err, text, style)}\n`);
  }
}

const EFFORTS = (given: string): string =>
  `/effort ${stripControls(given)}: no such effort; expected low, medium or high; choose one`;
