// The statistics of results, each a pure function: intervals for shares and means, exact tests for pairs, pass@k. No number
// of a report comes without one of these beside it. Sources: Wilson 1927; Clopper and Pearson 1934; McNemar 1947 in its exact
// (binomial) form, which for scores that are no yes or no is the sign test; Korn and Graubard 1998 (effective size of
// clustered samples); the unbiased pass@k of Chen et al. 2021 (arXiv 2107.03374); pass^k of Yao et al. 2024 (2406.12045).

const Z = 1.959963984540054; // of a two-sided 95 % interval
const RESAMPLES = 2_000;

export interface Estimate {
  readonly mean: number;
  /** Standard error of the mean; null where there is only one item. */
  readonly se: number | null;
  /** 95 % interval. */
  readonly low: number;
  readonly high: number;
}

export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function medianOf(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Standard deviation of a sample over the root of its size. */
export function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const mean = meanOf(values);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}

/** 95 % interval of a share; `size` may be an effective one, so neither has to be a whole number. */
export function wilson(share: number, size: number): { low: number; high: number } {
  const z2 = Z * Z;
  const middle = (share + z2 / (2 * size)) / (1 + z2 / size);
  const half = (Z / (1 + z2 / size)) * Math.sqrt((share * (1 - share)) / size + z2 / (4 * size * size));
  // Rounding must not put 0 of n above 0, or n of n below 1.
  return { low: share === 0 ? 0 : Math.max(0, middle - half), high: share === 1 ? 1 : Math.min(1, middle + half) };
}

/**
 * The mean of scores that came in groups (repeats of the same item): standard error and interval are those of the items'
 * means. Scores of 0 and 1: Wilson's interval, with an effective size where items were asked more than once. Others: the
 * bootstrap over items.
 */
export function estimate(items: readonly (readonly number[])[]): Estimate {
  const means = items.map(meanOf);
  const mean = meanOf(means);
  const se = standardError(means);
  const isShare = items.every((scores) => scores.every((score) => score === 0 || score === 1));
  if (!isShare) {
    const draws = bootstrap([means]);
    return { mean, se, low: quantile(draws, 0.025), high: quantile(draws, 0.975) };
  }
  const asked = items.reduce((sum, scores) => sum + scores.length, 0);
  let size = items.length;
  if (asked > items.length && se !== null && se > 0) {
    size = Math.min(asked, Math.max(items.length, (mean * (1 - mean)) / (se * se)));
  }
  return { mean, se, ...wilson(mean, size) };
}

/** The largest share that is compatible with k of n, one-sided: 0 of 1,000 gives 0.3 % (Clopper and Pearson). */
export function upperBound(k: number, n: number, confidence = 0.95): number {
  if (n === 0 || k >= n) return 1;
  let [low, high] = [k / n, 1];
  for (let i = 0; i < 60; i++) {
    const share = (low + high) / 2;
    if (binomialTail(k, n, share) > 1 - confidence) low = share;
    else high = share;
  }
  return high;
}

/** P(X <= k) for n draws of probability `share`. */
export function binomialTail(k: number, n: number, share: number): number {
  if (share <= 0) return 1;
  if (share >= 1) return k >= n ? 1 : 0;
  let log = n * Math.log1p(-share);
  let sum = Math.exp(log);
  for (let i = 1; i <= k; i++) {
    log += Math.log((n - i + 1) / i) + Math.log(share) - Math.log1p(-share);
    sum += Math.exp(log);
  }
  return Math.min(1, sum);
}

/** Two-sided exact test of pairs that differ: `up` of one kind, `down` of the other. 1 when none differ. */
export function exactTest(up: number, down: number): number {
  const n = up + down;
  return n === 0 ? 1 : Math.min(1, 2 * binomialTail(Math.min(up, down), n, 0.5));
}

export interface PairedDifference extends Estimate {
  /** Pairs. */
  readonly n: number;
  /** Pairs in which the second was better, and worse. */
  readonly better: number;
  readonly worse: number;
  /** Exact, two-sided. */
  readonly p: number;
}

/** Second minus first over the same items. Strata (families) count alike; the interval is a bootstrap within them. */
export function pairedDifference(
  strata: readonly (readonly (readonly [first: number, second: number])[])[],
): PairedDifference {
  const differences = strata.filter((pairs) => pairs.length > 0).map((pairs) => pairs.map(([a, b]) => b - a));
  const all = differences.flat();
  const better = all.filter((difference) => difference > 0).length;
  const worse = all.filter((difference) => difference < 0).length;
  const errors = differences.map(standardError);
  const se = errors.some((error) => error === null)
    ? null
    : Math.sqrt(errors.reduce<number>((sum, error) => sum + error! ** 2, 0)) / differences.length;
  const draws = bootstrap(differences);
  return {
    n: all.length,
    mean: meanOf(differences.map(meanOf)),
    se,
    low: quantile(draws, 0.025),
    high: quantile(draws, 0.975),
    ...{ better, worse, p: exactTest(better, worse) },
  };
}

/** 1 - C(n - c, k) / C(n, k): the chance that at least one of k answers is right, from n answers of which c are. */
export function passAtK(n: number, c: number, k: number): number {
  if (k > n) return Number.NaN;
  let none = 1;
  for (let i = 0; i < k; i++) none *= Math.max(0, n - c - i) / (n - i);
  return 1 - none;
}

/** C(c, k) / C(n, k): the chance that all of k answers are right. */
export function passHatK(n: number, c: number, k: number): number {
  if (k > n) return Number.NaN;
  let all = 1;
  for (let i = 0; i < k; i++) all *= Math.max(0, c - i) / (n - i);
  return all;
}

/** Score of the answer that most of k agree on, the first of those where several lead; the mean over the n / k disjoint
 *  draws of k in a row. No answer (null) is not voted for. */
export function majorityOf(answers: readonly (readonly [answer: string | null, score: number])[], k: number): number {
  const scores: number[] = [];
  for (let at = 0; at + k <= answers.length; at += k) {
    const votes = new Map<string, { count: number; score: number }>();
    for (const [answer, score] of answers.slice(at, at + k)) {
      if (answer === null) continue;
      const vote = votes.get(answer);
      if (vote === undefined) votes.set(answer, { count: 1, score });
      else vote.count++;
    }
    const best = [...votes.values()].reduce((a, b) => (b.count > a.count ? b : a), { count: 0, score: 0 });
    scores.push(best.score);
  }
  return meanOf(scores);
}

/** Means of strata means, over values drawn again with replacement. Always the same draws. */
function bootstrap(strata: readonly (readonly number[])[]): Float64Array {
  const random = mulberry(0x5eed);
  const draws = new Float64Array(RESAMPLES);
  for (let r = 0; r < RESAMPLES; r++) {
    let total = 0;
    for (const values of strata) {
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)]!;
      total += sum / values.length;
    }
    draws[r] = total / strata.length;
  }
  return draws.sort();
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** Small and quick, good enough to draw items with. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
