// The models of the server's machine: which is in use, what others would cost and how fast they would be, and downloads with
// their progress. Nothing is downloaded without a second press that names the size.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getModels, type ModelRow, pullModel, ServerError, useModel } from '../api/server.ts';
import { bytesText, numberText, t, timeText } from '../language.ts';
import * as chat from '../state/chat.ts';

const rows = signal<readonly ModelRow[]>([]);
const message = signal('');
const busy = signal<string | null>(null);
const sure = signal<string | null>(null);
const progress = signal<{ name: string; done: number; total: number; bytesPerSecond: number } | null>(null);
let pulling: AbortController | null = null;

async function refresh(): Promise<void> {
  try {
    rows.value = await getModels();
  } catch (error) {
    message.value = error instanceof Error ? error.message : String(error);
  }
}

async function change(name: string): Promise<void> {
  busy.value = name;
  message.value = t('switching');
  try {
    await useModel(name);
    message.value = '';
  } catch (error) {
    message.value = error instanceof ServerError ? error.message : String(error);
  }
  busy.value = null;
  await chat.findServer();
  await refresh();
}

async function fetchModel(name: string): Promise<void> {
  sure.value = null;
  pulling = new AbortController();
  message.value = '';
  try {
    for await (const event of pullModel(name, pulling.signal)) {
      if (event.type === 'progress') progress.value = { name, ...event };
      else if (event.type === 'error') message.value = event.message;
    }
  } catch (error) {
    if (!pulling.signal.aborted) message.value = error instanceof Error ? error.message : String(error);
  }
  progress.value = null;
  pulling = null;
  await refresh();
}

export function Models() {
  useEffect(() => void refresh(), []);
  return (
    <div class="models">
      <ul>
        {rows.value.map((row) => (
          <li key={row.name}>
            <div>
              <strong>{row.title}</strong>{' '}
              <span class="faint">{row.sizeBytes > 0 ? bytesText(row.sizeBytes) : ''}</span>
              <p class="faint">{row.note}</p>
              {row.fit !== null && (
                <p class="faint">
                  {t(row.fit.fits ? 'fits' : 'tooLarge', bytesText(row.fit.memoryBytes))}
                  {row.fit.decode !== null && row.fit.prompt !== null && (
                    <> · {t('speed', numberText(row.fit.prompt), numberText(row.fit.decode, 1))}</>
                  )}
                </p>
              )}
              {progress.value?.name === row.name && <Download />}
            </div>
            <ModelButton row={row} />
          </li>
        ))}
      </ul>
      <p role="status">{message.value}</p>
    </div>
  );
}

function ModelButton({ row }: { row: ModelRow }) {
  if (row.state === 'in-use') return <span class="chip">{t('inUse')}</span>;
  if (row.state === 'broken') return null;
  if (row.state === 'ready') {
    return (
      <button type="button" class="button" disabled={busy.value !== null} onClick={() => void change(row.name)}>
        {t('useModel')}
      </button>
    );
  }
  if (progress.value?.name === row.name) {
    return (
      <button type="button" class="button" onClick={() => pulling?.abort()}>
        {t('cancel')}
      </button>
    );
  }
  const isSure = sure.value === row.name;
  return (
    <button
      type="button"
      class={`button ${isSure ? 'main' : ''}`}
      disabled={progress.value !== null}
      onClick={() => {
        if (isSure) void fetchModel(row.name);
        else sure.value = row.name;
      }}
    >
      {isSure ? t('downloadSure', row.title, bytesText(row.sizeBytes)) : t('download')}
    </button>
  );
}

function Download() {
  const { done, total, bytesPerSecond } = progress.value!;
  const left = bytesPerSecond > 0 ? timeText((total - done) / bytesPerSecond) : '…';
  return (
    <>
      <progress max={total} value={done} aria-label={t('download')} />
      <p class="faint">{t('downloading', bytesText(done), bytesText(total), bytesText(bytesPerSecond), left)}</p>
    </>
  );
}
