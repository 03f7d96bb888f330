// Lets timers, sockets and abort signals have their turn: a promise alone only yields to other promises.

let channel: MessageChannel | null = null;
const waiting: (() => void)[] = [];

/** Resolves in a new task of the event loop, as soon as possible. */
export function nextTask(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  if (channel === null) {
    channel = new MessageChannel(); // a browser's setTimeout would wait 4 ms
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  const { port2 } = channel;
  return new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
