// Ids of things that clients see (`resp_…`, `call_…`): 128 random bits, so that nobody can guess another's.

export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
