// Owns: HTML cut off where it is nested too deeply. The parser takes time by the square of the depth, so a page of nothing but
// opening tags would hold the program for minutes. The scan here is linear and errs on the side of seeing more depth.
// Next: page-text.ts.

const MOST_DEPTH = 2000;

// Comments, elements whose text is no markup, and tags. Every alternative reaches an end, so none is tried twice.
const PIECE =
  /<!--[\s\S]*?(?:-->|$)|<(script|style|textarea|title|xmp|noembed|noframes|iframe)\b[^>]*(?:>[\s\S]*?(?:<\/\1\b|$)|$)|<(\/?)([a-z][^\s/>]*)[^>]*(?:>|$)/gi;
const VOID = new Set('area base br col embed hr img input link meta param source track wbr'.split(' '));
/** Each closes the one before it, so they never pile up by themselves. */
const CLOSES_ITSELF = new Set('p li dd dt td th tr option optgroup thead tbody tfoot rp rt'.split(' '));

export function shallow(html: string): string {
  const stack: string[] = [];
  const open = new Map<string, number>();
  for (const match of html.matchAll(PIECE)) {
    const name = match[3]?.toLowerCase();
    if (name === undefined || VOID.has(name) || CLOSES_ITSELF.has(name)) continue;
    const count = open.get(name) ?? 0;
    if (match[2] === '') {
      if (stack.length >= MOST_DEPTH) return html.slice(0, match.index);
      stack.push(name);
      open.set(name, count + 1);
    } else if (count > 0) {
      for (let closed = stack.pop()!; ; closed = stack.pop()!) {
        open.set(closed, open.get(closed)! - 1);
        if (closed === name) break;
      }
    }
  }
  return html;
}
