// The plot of a model card as SVG: accuracy against the tokens that an answer took, a curve over the three levels for each
// setting, with 95 % intervals. No script, no font of its own; readable on light and dark pages. Next: card.ts.

import { grouped, type LevelResult } from '../summary.ts';

const [WIDTH, HEIGHT] = [720, 420];
const FRAME = { left: 56, right: 200, top: 44, bottom: 48 };
const COLOURS = ['#1769aa', '#2e8b57', '#c0392b', '#8e5ea2', '#b8860b'];

export function tokensPlot(levels: readonly LevelResult[], title: string): string {
  const greedy = levels.filter(
    ({ cell }) => cell.sampling === 'greedy' && ['plain', 'template', 'harder'].includes(cell.set),
  );
  const most = Math.max(20, ...greedy.map(({ tokens }) => tokens.mean)) * 1.05;
  const x = (tokens: number): number => FRAME.left + (tokens / most) * (WIDTH - FRAME.left - FRAME.right);
  const y = (share: number): number => HEIGHT - FRAME.bottom - share * (HEIGHT - FRAME.top - FRAME.bottom);
  const step = stepFor(most);
  const settings = [...grouped(greedy, ({ cell }) => nameOf(cell))];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<text x="${FRAME.left}" y="24" font-size="15" font-weight="600">${escaped(title)}</text>
${[0, 0.25, 0.5, 0.75, 1].map((share) => horizontal(y(share), `${100 * share} %`)).join('\n')}
${Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => `<text x="${at(x(i * step))}" y="${HEIGHT - 28}" text-anchor="middle" fill="#555">${i * step}</text>`).join('\n')}
<text x="${at((FRAME.left + WIDTH - FRAME.right) / 2)}" y="${HEIGHT - 8}" text-anchor="middle" fill="#555">tokens of an answer (low, medium, high)</text>
${settings.map(([name, members], i) => curve(name, members, i, x, y)).join('\n')}
</svg>
`;
}

function curve(
  name: string,
  members: readonly LevelResult[],
  index: number,
  x: (tokens: number) => number,
  y: (share: number) => number,
): string {
  const colour = COLOURS[index % COLOURS.length]!;
  const points = members.map(({ tokens, score }) => `${at(x(tokens.mean))},${at(y(score.mean))}`).join(' ');
  const marks = members.map(({ tokens, score }) => {
    const middle = at(x(tokens.mean));
    return `<line x1="${middle}" x2="${middle}" y1="${at(y(score.low))}" y2="${at(y(score.high))}" stroke="${colour}"/><circle cx="${middle}" cy="${at(y(score.mean))}" r="4" fill="${colour}"/>`;
  });
  const row = FRAME.top + 12 + index * 22;
  const legend = WIDTH - FRAME.right + 16;
  return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>${marks.join('')}
<line x1="${legend}" x2="${legend + 18}" y1="${row - 4}" y2="${row - 4}" stroke="${colour}" stroke-width="3"/><text x="${legend + 24}" y="${row}">${escaped(name)}</text>`;
}

function horizontal(y: number, label: string): string {
  return `<line x1="${FRAME.left}" x2="${WIDTH - FRAME.right}" y1="${at(y)}" y2="${at(y)}" stroke="#ddd"/><text x="${FRAME.left - 8}" y="${at(y + 4)}" text-anchor="end" fill="#555">${label}</text>`;
}

function nameOf({ set, tools }: LevelResult['cell']): string {
  if (tools === 'on') return 'unseen, with a tool';
  return { plain: 'unseen', template: 'held-out wordings', harder: 'one size harder' }[set] ?? set;
}

function stepFor(most: number): number {
  return [5, 10, 20, 25, 50, 100, 200, 500].find((step) => most / step <= 9) ?? 1000;
}

const at = (n: number): string => n.toFixed(1);

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
