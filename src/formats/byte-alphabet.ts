// GPT-2's byte alphabet (each of the 256 bytes as a printable character: Ġ for a space), and a compact table of token
// bytes by id. Used by tokenizer-data.ts, and backwards by whoever writes a vocabulary.

/** Byte for each character of the alphabet (all below U+0144), −1 elsewhere. */
export const byteOfChar: Int16Array = new Int16Array(0x144).fill(-1);
/** Character code for each byte. */
export const charOfByte: Uint16Array = new Uint16Array(256);
let next = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const char = printable ? byte : next++;
  byteOfChar[char] = byte;
  charOfByte[byte] = char;
}

/** Token bytes as text in the alphabet. */
export function bytesToAlphabet(bytes: Uint8Array): string {
  return String.fromCharCode(...Array.from(bytes, (b) => charOfByte[b]));
}

const O200K_TOKENS = 199_998;
/** tokenFingerprint of o200k_base; a test computes it from the published ranks. */
const O200K_FINGERPRINT = 'e261e4f7e4a0d8d2';

const encoder = new TextEncoder();
const oneCharPerByte = new TextDecoder('latin1');

/**
 * Two 32-bit lanes of FNV-1a's kind over lengths and bytes of the first `count` tokens. It tells vocabularies apart. It
 * is no protection against someone who wants a collision; he would gain another vocabulary for his own model.
 */
export function tokenFingerprint(bytes: Uint8Array, starts: Uint32Array, ends: Uint32Array, count: number): string {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let id = 0; id < count; id++) {
    const end = ends[id];
    let i = starts[id];
    a = Math.imul(a ^ (end - i), 0x01000193);
    b = Math.imul(b ^ (end - i), 0x85ebca6b);
    for (; i < end; i++) {
      a = Math.imul(a ^ bytes[i], 0x01000193);
      b = Math.imul((b ^ bytes[i]) + 0x9e3779b9, 0x85ebca6b);
      b ^= b >>> 15;
    }
  }
  return [a, b].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
}

/** Token bytes by id in one buffer. An empty range is an id without text. */
export class TokenBytes {
  private bytes: Uint8Array;
  private readonly starts: Uint32Array;
  private readonly ends: Uint32Array;
  private used = 0;

  constructor(count: number, capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.starts = new Uint32Array(count);
    this.ends = new Uint32Array(count);
  }

  private reserve(length: number): void {
    if (this.used + length <= this.bytes.length) return;
    const larger = new Uint8Array(2 * this.bytes.length + length);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  /** Text in the alphabet, as UTF-8 in src[start … end). Text with any other character stands for itself, as in Hugging
   *  Face's decoder. */
  setUtf8(id: number, src: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    const { bytes } = this;
    let to = this.used;
    for (let i = start; i < end; i++) {
      let char = src[i];
      if (char >= 0x80) {
        const inRange = char >= 0xc2 && char <= 0xc5 && i + 1 < end;
        char = inRange ? ((char & 31) << 6) | (src[++i] & 63) : byteOfChar.length;
      }
      const byte = char < byteOfChar.length ? byteOfChar[char] : -1;
      if (byte < 0) {
        bytes.set(src.subarray(start, end), this.used);
        to = this.used + (end - start);
        break;
      }
      bytes[to++] = byte;
    }
    this.starts[id] = this.used;
    this.ends[id] = to;
    this.used = to;
  }

  /** The same for a string. */
  setText(id: number, text: string): void {
    this.reserve(text.length);
    let to = this.used;
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      const byte = char < byteOfChar.length ? byteOfChar[char] : -1;
      if (byte < 0) {
        const raw = encoder.encode(text);
        this.reserve(raw.length);
        this.bytes.set(raw, this.used);
        to = this.used + raw.length;
        break;
      }
      this.bytes[to++] = byte;
    }
    this.starts[id] = this.used;
    this.ends[id] = to;
    this.used = to;
  }

  clear(id: number): void {
    this.ends[id] = this.starts[id];
  }

  has(id: number): boolean {
    return this.ends[id] > this.starts[id];
  }

  toArray(): (Uint8Array | null)[] {
    const { bytes, starts, ends } = this;
    return Array.from(starts, (start, id) => (ends[id] > start ? bytes.subarray(start, ends[id]) : null));
  }

  isO200k(): boolean {
    if (this.starts.length < O200K_TOKENS) return false;
    for (let id = O200K_TOKENS; id < this.starts.length; id++) if (this.has(id)) return false;
    return tokenFingerprint(this.bytes, this.starts, this.ends, O200K_TOKENS) === O200K_FINGERPRINT;
  }

  /** Two ids with the same bytes, or null. */
  firstDuplicate(): [number, number] | null {
    const seen = new Map<string, number>();
    for (let id = 0; id < this.starts.length; id++) {
      if (!this.has(id)) continue;
      const key = oneCharPerByte.decode(this.bytes.subarray(this.starts[id], this.ends[id]));
      const other = seen.get(key);
      if (other !== undefined) return [other, id];
      seen.set(key, id);
    }
    return null;
  }

  /** A byte that no token stands for alone, or null. */
  missingByte(): number | null {
    const present = new Set<number>();
    for (let id = 0; id < this.starts.length; id++) {
      if (this.ends[id] - this.starts[id] === 1) present.add(this.bytes[this.starts[id]]);
    }
    for (let byte = 0; byte < 256; byte++) if (!present.has(byte)) return byte;
    return null;
  }
}
