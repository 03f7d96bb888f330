// Owns: what the server counts about itself, in the text form of Prometheus. Names follow vLLM's, so that dashboards made
// for it need a new prefix only. Counters of the engine are read when asked; here are only those of answers and requests.
// Refuses: labels whose values come from requests, which would grow without bound. Next: app.ts.

import type { EngineStats } from '../engine/engine.ts';
import type { Answer } from './answer.ts';

/** Seconds; from a token of a large GPU to a long prompt on a laptop. */
const SHORT = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const LONG = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count++;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at]++;
  }

  lines(name: string): string[] {
    let below = 0;
    const each = this.#bounds.map((bound, i) => `${name}_bucket{le="${bound}"} ${(below += this.#counts[i])}`);
    return [
      ...each,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

export class Metrics {
  /** Responses that could not be written to the store. */
  storeErrors = 0;
  readonly #firstToken = new Histogram(LONG);
  readonly #perToken = new Histogram(SHORT);
  readonly #queued = new Histogram(LONG);
  readonly #whole = new Histogram(LONG);
  readonly #finished = new Map<string, number>();
  readonly #statuses = new Map<number, number>();
  #reasoningTokens = 0;

  answered({ finish, ended, usage, timings }: Answer): void {
    const reason = ended === 'loop' ? 'repetition' : finish; // as vLLM calls it
    this.#finished.set(reason, (this.#finished.get(reason) ?? 0) + 1);
    if (finish === 'aborted') return;
    this.#firstToken.observe(timings.firstTokenMs / 1000);
    this.#queued.observe(timings.queueMs / 1000);
    this.#whole.observe((timings.firstTokenMs + timings.decodeMs) / 1000);
    if (usage.completionTokens > 1) this.#perToken.observe(timings.decodeMs / 1000 / (usage.completionTokens - 1));
    this.#reasoningTokens += usage.reasoningTokens;
  }

  responded(status: number): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
  }

  text(stats: EngineStats, visits: number): string {
    const lines: string[] = [];
    const add = (name: string, type: string, help: string, values: readonly string[]): void => {
      lines.push(`# HELP gptoss:${name} ${help}`, `# TYPE gptoss:${name} ${type}`, ...values);
    };
    const one = (name: string, type: 'gauge' | 'counter', help: string, value: number): void =>
      add(name, type, help, [`gptoss:${name} ${value}`]);
    const histogram = (name: string, help: string, values: Histogram): void =>
      add(name, 'histogram', help, values.lines(`gptoss:${name}`));
    const labelled = (name: string, label: string, help: string, values: ReadonlyMap<string | number, number>): void =>
      add(
        name,
        'counter',
        help,
        [...values].map(([value, count]) => `gptoss:${name}{${label}="${value}"} ${count}`),
      );
    const { full } = stats.pages;
    one('num_requests_running', 'gauge', 'Sequences that are computed.', stats.running);
    one('num_requests_waiting', 'gauge', 'Sequences that wait for a place.', stats.waiting);
    one('http_requests_running', 'gauge', 'Requests that are being answered.', visits);
    one('kv_cache_usage_perc', 'gauge', 'Share of pages that running sequences hold.', full.held / full.total);
    one('kv_cache_reusable_perc', 'gauge', 'Share of pages that hold remembered prefixes.', full.cached / full.total);
    one('num_preemptions_total', 'counter', 'Sequences that lost their pages for a while.', stats.preemptions);
    one('engine_steps_total', 'counter', 'Steps of the engine.', stats.steps);
    one('prefix_cache_queries_total', 'counter', 'Prompt tokens looked up in the cache.', stats.promptTokens);
    one('prefix_cache_hits_total', 'counter', 'Prompt tokens found there.', stats.cachedTokens);
    one('prompt_tokens_total', 'counter', 'Prompt tokens.', stats.promptTokens);
    one('generation_tokens_total', 'counter', 'Generated tokens.', stats.generatedTokens);
    one('spec_decode_num_draft_tokens_total', 'counter', 'Tokens that were run on a guess.', stats.draftedTokens);
    one('spec_decode_num_accepted_tokens_total', 'counter', 'Guesses that stood.', stats.acceptedTokens);
    one('reasoning_tokens_total', 'counter', 'Generated tokens that were reasoning.', this.#reasoningTokens);
    one('store_errors_total', 'counter', 'Responses that could not be stored.', this.storeErrors);
    labelled('request_success_total', 'finished_reason', 'Answers by the way they ended.', this.#finished);
    labelled('http_responses_total', 'status', 'HTTP responses by status.', this.#statuses);
    histogram('time_to_first_token_seconds', 'Request to first token.', this.#firstToken);
    histogram('time_per_output_token_seconds', 'Between tokens, mean of each answer.', this.#perToken);
    histogram('request_queue_time_seconds', 'Request to first pages.', this.#queued);
    histogram('e2e_request_latency_seconds', 'Request to last token.', this.#whole);
    return `${lines.join('\n')}\n`;
  }
}
