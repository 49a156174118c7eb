// Scopes: patterns of artifact names, matched in time linear in the name.

/** Longest pattern and name that are compared: bounds the work of one match. */
export const SCOPE_CHARS_MAX = 512;
const NAME_CHARS_MAX = 4096;

/** `.` or `..` between slashes, also as a URL may write it. */
const DOT_SEGMENT = /(^|\/)(\.|%2e){1,2}(\/|$)/i;

type Token =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'any'; readonly crossesSlash: boolean };

/**
 * True when the whole name matches: `*` is any text without `/`, `**` any text, `?` one character but `/`. A lone `*` is
 * every name, as people mean it; only it and `**` cover a name that has `.` or `..` for a part.
 */
export function isInScope(scope: string, name: string): boolean {
  // attacker-controlled: an image names itself. Matched as text, without regular expressions, in bounded time.
  if (scope.length > SCOPE_CHARS_MAX || name.length > NAME_CHARS_MAX) return false;
  if (scope === '*' || scope === '**') return true;
  // As text `shop/../bank` lies in `shop/**`; as a path or URL it does not.
  if (DOT_SEGMENT.test(name)) return false;
  const tokens = tokensOf(scope);
  let positions = skipAnys(tokens, new Set([0]));
  for (const char of name) {
    const next = new Set<number>();
    for (const at of positions) {
      const token = tokens[at];
      if (token === undefined) continue;
      if (token.kind === 'any' && (token.crossesSlash || char !== '/')) next.add(at);
      if (token.kind === 'char' && (token.char === char || (token.char === '?' && char !== '/'))) next.add(at + 1);
    }
    positions = skipAnys(tokens, next);
  }
  return positions.has(tokens.length);
}

function tokensOf(scope: string): Token[] {
  const parts = scope.match(/\*\*|\*|[^*]/gsu) ?? [];
  return parts.map((part) =>
    part.startsWith('*') ? { kind: 'any', crossesSlash: part === '**' } : { kind: 'char', char: part },
  );
}

/** A wildcard may also stand for nothing. */
function skipAnys(tokens: readonly Token[], positions: Set<number>): Set<number> {
  // A set that grows while it is walked is walked to its new end.
  for (const at of positions) if (tokens[at]?.kind === 'any') positions.add(at + 1);
  return positions;
}
