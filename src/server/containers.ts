// Owns: what clients do with the state of tools besides answers: list and fetch the files that Python made, end it. Paths and
// objects are those of the platform's containers; a container here is the tools of one conversation.
// Refuses: to show a file in a browser: what a model made is downloaded, never opened here. Next: tool-sessions.ts.

import { GptOssError } from '../errors.ts';
import { quote } from './body.ts';
import type { Serving, Visit } from './serving.ts';
import type { KeptFile } from './tool-sessions.ts';

export function listContainerFiles(serving: Serving, visit: Visit, containerId: string): Response {
  const data = filesOf(serving, visit, containerId).map(described);
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return Response.json({ object: 'list', data, ...ends, has_more: false });
}

export function containerFile(serving: Serving, visit: Visit, containerId: string, fileId: string): Response {
  return Response.json(described(fileOf(serving, visit, containerId, fileId)));
}

export function containerFileContent(serving: Serving, visit: Visit, containerId: string, fileId: string): Response {
  const { name, bytes } = fileOf(serving, visit, containerId, fileId);
  const plain = name.replace(/[^\w.-]/g, '_').slice(-100);
  const fileName = name.slice(name.lastIndexOf('/') + 1);
  return new Response(new Uint8Array(bytes), {
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(fileName)}`,
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  });
}

export async function deleteContainer(serving: Serving, visit: Visit, containerId: string): Promise<Response> {
  if (!(await serving.answerer.sessions.end(visit.owner, containerId))) throw gone('container', containerId);
  return Response.json({ id: containerId, object: 'container.deleted', deleted: true });
}

function filesOf(serving: Serving, visit: Visit, containerId: string): readonly KeptFile[] {
  const files = serving.answerer.sessions.files(visit.owner, containerId);
  if (files === null) throw gone('container', containerId);
  return files;
}

function fileOf(serving: Serving, visit: Visit, containerId: string, fileId: string): KeptFile {
  const file = filesOf(serving, visit, containerId).find(({ id }) => id === fileId);
  if (file === undefined) throw gone('file', fileId);
  return file;
}

function described({ id, containerId, name, bytes, createdAt }: KeptFile) {
  return {
    ...{ id, object: 'container.file', container_id: containerId, created_at: createdAt, bytes: bytes.length },
    ...{ path: `/mnt/data/${name}`, source: 'assistant' },
  };
}

function gone(what: string, id: string): GptOssError {
  const found = `there is no ${what} ${quote(JSON.stringify(id))}`;
  return new GptOssError('not-found', `${found}; expected one of a recent conversation; run its code again`);
}
