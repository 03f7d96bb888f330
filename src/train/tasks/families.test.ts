// Every family, at every size: items are what their own verifier accepts, draws are a function of the seed, columns are
// right, and checks that find a slip lead to the right result. Splits and grading: registry.test.ts.
import { describe, expect, it } from 'vitest';
import { families } from './families.ts';
import { type DrawnItem, drawItem, type Family } from './item.ts';
import { Random } from './random.ts';

const draw = (
  family: Family,
  n: number,
  split: 'train' | 'val' | 'test' = 'train',
  slips = 0,
  heldOut = false,
): DrawnItem | null =>
  drawItem(family, { random: new Random(7, family.name, n), size: 1 + (n % family.sizes), heldOut, slips }, split);

describe.each(families.map(({ family }) => [family.name, family] as const))('family %s', (_, family) => {
  it('accepts its own answers, and no empty or wrong one', () => {
    for (let n = 0; n < 10; n++) {
      const item = draw(family, n, 'train', 0.5)!;
      for (const level of ['low', 'medium', 'high'] as const) {
        const { final } = item.solutions[level];
        expect(item.verify(final), `${item.prompts[0]} -> ${final}`).toBe(true);
      }
      expect(item.verify(''), item.prompts[0]).toBe(false);
      expect(item.verify('I do not want to say.'), item.prompts[0]).toBe(false);
      expect(item.prompts.length).toBeGreaterThan(0);
      expect(item.heldOutPrompts.filter((prompt) => item.prompts.includes(prompt))).toEqual([]);
    }
  });

  it('thinks longer at each level', () => {
    const length = { low: 0, medium: 0, high: 0 };
    for (let n = 0; n < 14; n++) {
      const { solutions } = draw(family, n)!;
      for (const level of ['low', 'medium', 'high'] as const) {
        for (const step of solutions[level].steps) {
          if (step.kind === 'analysis') length[level] += step.pieces.reduce((sum, { text }) => sum + text.length, 0);
        }
      }
    }
    expect(length.medium).toBeGreaterThan(length.low);
    expect(length.high).toBeGreaterThan(length.medium);
  });

  it('finds a slip and goes on from there, and finds nothing where there is none', () => {
    for (let n = 0; n < 20; n++) {
      const clean = draw(family, n, 'train', 0)!;
      for (const level of ['medium', 'high'] as const) expect(thoughts(clean, level)).not.toContain('wrong');
      const slipped = draw(family, n, 'train', 1)!;
      const high = thoughts(slipped, 'high');
      if (!slipped.solutions.high.steps.some((step) => step.kind === 'analysis' && step.pieces.some((p) => p.isSlip))) {
        continue;
      }
      if (!high.includes('wrong')) expect(HARMLESS, high).toContain(family.name);
      // What comes after the last verdict is clean: no second slip, nothing found a second time.
      expect(high.split('wrong').length, high).toBeLessThanOrEqual(2);
    }
  });

  it('is a function of the seed, and has a set one size harder', () => {
    for (let n = 0; n < 10; n++) expect(strip(draw(family, n))).toEqual(strip(draw(family, n)));
    const random = new Random(1, 'harder', 0);
    const harder = drawItem(family, { random, size: family.sizes + 1, heldOut: true, slips: 0 }, 'test');
    if (family.sizes > 1) expect(harder).not.toBeNull();
  });
});

/** A slip there may leave the result as it is. */
const HARMLESS = ['lookup-extreme', 'boolean-value'];

function thoughts(item: DrawnItem, level: 'medium' | 'high'): string {
  const pieces = item.solutions[level].steps.flatMap((step) => (step.kind === 'analysis' ? step.pieces : []));
  return pieces.map(({ text }) => text).join('');
}

/** Functions are no data. */
function strip(item: DrawnItem | null): unknown {
  return JSON.parse(JSON.stringify(item));
}

describe('written arithmetic', () => {
  const named = (name: string): Family => families.find(({ family }) => family.name === name)!.family;
  const text = (item: DrawnItem, level: 'medium' | 'high'): string =>
    item.solutions[level].steps
      .flatMap((step) => (step.kind === 'analysis' ? step.pieces.map((p) => p.text) : []))
      .join('');

  it('has columns that hold, every one that is no slip', () => {
    for (const name of ['addition', 'subtraction', 'multiplication', 'expressions', 'japanese-sums']) {
      for (let n = 0; n < 25; n++) {
        const item = draw(named(name), n, 'train', 0)!;
        for (const level of ['medium', 'high'] as const) {
          for (const [, left, right] of text(item, level).matchAll(/^([\d+*-]+)=(-?\d+)/gm)) {
            const value =
              left!.includes('*') && left!.includes('+')
                ? left!
                    .split('+')
                    .map((part) =>
                      part
                        .split('*')
                        .map(Number)
                        .reduce((a, b) => a * b),
                    )
                    .reduce((a, b) => a + b)
                : left!.includes('*')
                  ? left!
                      .split('*')
                      .map(Number)
                      .reduce((a, b) => a * b)
                  : left!
                      .split(/(?=[+-])/)
                      .map(Number)
                      .reduce((a, b) => a + b);
            // Brief subtraction writes the digit and says that it borrowed.
            const isBrief = left!.includes('-') && value !== Number(right);
            expect(isBrief ? (value + 10) % 10 : value, `${left}=${right} in\n${text(item, level)}`).toBe(
              Number(right),
            );
          }
        }
      }
    }
  });

  it('is brief at medium where high is long, and right', () => {
    let looked = 0;
    for (let n = 0; n < 25; n++) {
      const medium = (name: string): string => text(draw(named(name), n)!, 'medium');
      const [first, ...lines] = medium('expressions').split('\n');
      const after = [first!, ...lines.filter((line) => line.startsWith('Now ')).map((line) => line.slice(4))];
      const values = after.map((part) => new Function(`return ${part}`)() as number);
      expect(new Set(values).size, after.join(' = ')).toBe(1);
      for (const [line, x, y, q, r] of medium('division').matchAll(/^(\d+)\/(\d+)=(\d+) rest (\d+)/gm)) {
        expect(Number(q) * Number(y) + Number(r), line).toBe(Number(x));
        looked++;
      }
      const sums = ['expressions', 'common-divisor', 'time-later'].map(medium).join('\n');
      for (const [line, x, sign, y, z] of sums.matchAll(
        /(?<![\d+*-])(\d+) ?([*+-]) ?(\d+) ?= ?(\d+)(?![\d ]*[*+-])/g,
      )) {
        const value = new Function(`return ${x} ${sign} ${y}`)() as number;
        expect(value, `${line} in\n${sums}`).toBe(Number(z));
        looked++;
      }
      const [, dollar, cents, from, to, rest] = /^To \$(\d+): (\d+) cents\n\$(\d+) to \$(\d+): (\d+)$/
        .exec(medium('money-change'))!
        .map(Number) as [number, number, number, number, number, number];
      expect([dollar, Number(to) - Number(from)]).toEqual([from, rest]);
      expect(cents).toBeLessThan(100);
    }
    expect(looked).toBeGreaterThan(150);
  });

  it('finds its slips and repairs them', () => {
    let found = 0;
    for (const name of ['addition', 'subtraction', 'multiplication', 'count-letter', 'reverse-word', 'sort-list']) {
      for (let n = 0; n < 14; n++) {
        const item = draw(named(name), n, 'train', 1)!;
        const high = item.solutions.high.steps.flatMap((step) => (step.kind === 'analysis' ? step.pieces : []));
        const hasSlip = high.some(({ isSlip }) => isSlip === true);
        const whole = high.map(({ text: part }) => part).join('');
        if (!hasSlip) continue;
        found++;
        // Nines do not see every slip; all other checks do.
        if (name !== 'multiplication') expect(whole, name).toContain('wrong');
        if (whole.includes('Result:') && whole.includes('wrong')) {
          expect(
            item.verify(`It is ${/Result: (-?\d+)(?![\s\S]*Result)/.exec(whole)![1]}.`) || /negative/.test(whole),
          ).toBe(true);
        }
      }
    }
    expect(found).toBeGreaterThan(50);
  });
});
