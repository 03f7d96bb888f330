// A server that answers as a test wants. For tests only.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly path: string;
  readonly body: { readonly messages?: { content: string }[]; readonly [key: string]: unknown };
}

export interface Scripted {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json: unknown;
}

export interface ScriptedServer {
  readonly url: string;
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** Null: this question is never answered. `/v1/models` lists `scripted`. */
export async function scriptedServer(answer: (asked: Asked, n: number) => Scripted | null): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void read(request).then((text) => {
      const path = request.url ?? '';
      const send = ({ status = 200, headers = {}, json }: Scripted): void => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify(json));
      };
      if (path === '/v1/models') return send({ json: { data: [{ id: 'scripted' }] } });
      const question = { path, body: JSON.parse(text) as Asked['body'] };
      asked.push(question);
      const answered = answer(question, asked.length - 1);
      if (answered !== null) send(answered);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ url: `http://127.0.0.1:${port}`, asked },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** A chat completion that says this. */
export function chatAnswer(content: string, tokens = 7): Scripted {
  return {
    json: {
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 11, completion_tokens: tokens },
    },
  };
}
