// Links to what an answer rests on, and files that tools made. Pages of the web open apart; pages of the server's machine open
// as text in a window of this page (document.tsx); files are fetched when they are wanted.

import { signal } from '@preact/signals';
import { getFile } from '../api/server.ts';
import { t } from '../language.ts';
import type { MadeFile } from '../state/conversation.ts';
import { Icon } from './icons.tsx';

export interface SourceOf {
  readonly title: string;
  readonly url: string;
}

export function SourceLink({ title, url }: SourceOf) {
  const isWeb = /^https?:/i.test(url);
  return (
    <a href={url} {...(isWeb ? { target: '_blank', rel: 'noopener noreferrer nofollow' } : {})} title={url}>
      <Icon name={isWeb ? 'globe' : 'page'} />
      <span class="source-title">{title}</span>
      <span class="source-place">{placeOf(url)}</span>
    </a>
  );
}

/** Each page once. */
export function Sources({ links }: { links: readonly SourceOf[] }) {
  const bare = (url: string): string => url.replace(/#L[\d-L]*$/, '');
  const unique = links.filter(({ url }, i) => links.findIndex((one) => bare(one.url) === bare(url)) === i);
  return (
    <nav class="sources" aria-label={t('sources')}>
      {unique.map(({ title, url }) => (
        <SourceLink key={url} title={title} url={url} />
      ))}
    </nav>
  );
}

function placeOf(url: string): string {
  try {
    const { host, protocol, pathname } = new URL(url);
    return protocol === 'local:' ? decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1)) : host;
  } catch {
    return '';
  }
}

const gone = signal<ReadonlySet<string>>(new Set());

export function Files({ files }: { files: readonly MadeFile[] }) {
  return (
    <div class="files">
      {files.map((file) => (
        <button key={file.id} type="button" class="button" onClick={() => void download(file)}>
          <Icon name="download" /> {file.name}
        </button>
      ))}
      {files
        .filter(({ id }) => gone.value.has(id))
        .map(({ id, name }) => (
          <p key={id} class="notice" role="status">
            {t('fileGone', name)}
          </p>
        ))}
    </div>
  );
}

async function download({ containerId, id, name }: MadeFile): Promise<void> {
  try {
    const url = URL.createObjectURL(await getFile(containerId, id));
    const link = document.createElement('a');
    link.href = url;
    link.download = name.slice(name.lastIndexOf('/') + 1);
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch {
    gone.value = new Set([...gone.value, id]);
  }
}
