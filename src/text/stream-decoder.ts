// Bytes of a token stream to text, without ever splitting a code point: complete text goes out at once, an incomplete
// tail waits, a definite error becomes U+FFFD (one per maximal invalid run, as harmony and WHATWG have it).
// Each stream has a decoder of its own; nothing is shared between them. Next: tokenizer.ts.

export interface StreamDecoder {
  /** Text that became certain with this token; may be empty. */
  push(id: number): string;
  /** Ends the stream: U+FFFD if it stopped inside a code point. The decoder can then start another stream. */
  flush(): string;
}

/** `bytesOf` gives the bytes of a token; it throws for what is no id. */
export function streamDecoder(bytesOf: (id: number) => Uint8Array): StreamDecoder {
  // ignoreBOM keeps U+FEFF: a token stream has no byte order mark, only text.
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push: (id) => utf8.decode(bytesOf(id), { stream: true }),
    flush: () => utf8.decode(),
  };
}
