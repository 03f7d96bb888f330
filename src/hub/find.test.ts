// Every store is built in a temporary folder out of the mini checkpoints, then damaged in each way that occurs.
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { isGptOssError } from '../errors.ts';
import { findModels } from './find.ts';
import { resolveModel } from './resolve.ts';
import { type HubSettings, hubSettings } from './roots.ts';

const digest = (n: number): string => n.toString(16).padStart(64, '0');
const commit = 'a'.repeat(40);

describe('where stores are', () => {
  it('follows the variables of each program, in their order of precedence', () => {
    const plain = hubSettings({}, 'linux', '/home/u');
    expect(plain.hfCache).toBe('/home/u/.cache/huggingface/hub');
    expect(plain.ollama).toEqual(['/home/u/.ollama/models', '/usr/share/ollama/.ollama/models']);
    expect(plain.home).toBe('/home/u/.cache/gptoss');
    const set = hubSettings(
      {
        HF_HOME: '/x',
        HF_HUB_CACHE: '~/c',
        XDG_CACHE_HOME: '/y',
        HF_ENDPOINT: 'http://h/',
        HF_HUB_OFFLINE: 'Yes',
        HF_TOKEN: ' t ',
      },
      'darwin',
      '/Users/u',
    );
    expect(set).toMatchObject({ hfCache: '/Users/u/c', endpoint: 'http://h', offline: true, token: 't' });
    expect(set.llamaCpp).toEqual(['/Users/u/Library/Caches/llama.cpp']);
  });
});

describe.skipIf(!hasShared('fixtures', 'mini.gguf'))('models on this disk (needs ../shared)', () => {
  let root: string;
  let settings: HubSettings;
  const at = (...parts: string[]): string => join(root, ...parts);
  const put = (from: string, ...to: string[]): string => {
    const path = at(...to);
    mkdirSync(join(path, '..'), { recursive: true });
    copyFileSync(sharedPath('fixtures', from), path);
    return path;
  };
  const manifest = (tag: string, layerDigest: string): void => {
    const folder = at('ollama', 'manifests', 'registry.ollama.ai', 'library', 'gpt-oss');
    mkdirSync(folder, { recursive: true });
    const layers = [{ mediaType: 'application/vnd.ollama.image.model', digest: layerDigest, size: 1 }];
    writeFileSync(join(folder, tag), JSON.stringify({ schemaVersion: 2, layers }));
  };

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gptoss-find-'));
    settings = {
      ...hubSettings({ HF_HUB_CACHE: at('hf'), LLAMA_CACHE: at('llama'), GPTOSS_HOME: at('own') }, 'linux', root),
      ollama: [at('ollama')],
      lmStudio: [at('lmstudio')],
    };

    // Hugging Face: one whole repository of links into blobs, one with a shard missing, one still downloading.
    for (const [name, drop] of [
      ['openai--gpt-oss-mini', ''],
      ['openai--gpt-oss-torn', 'model-00001-of-00002.safetensors'],
    ]) {
      const repo = at('hf', `models--${name}`);
      mkdirSync(join(repo, 'snapshots', commit), { recursive: true });
      mkdirSync(join(repo, 'blobs'), { recursive: true });
      mkdirSync(join(repo, 'refs'), { recursive: true });
      writeFileSync(join(repo, 'refs', 'main'), commit);
      for (const [i, file] of readdirSync(sharedPath('fixtures', 'mini-mxfp4')).entries()) {
        if (file === drop) continue;
        copyFileSync(sharedPath('fixtures', 'mini-mxfp4', file), join(repo, 'blobs', digest(i)));
        symlinkSync(join('..', '..', 'blobs', digest(i)), join(repo, 'snapshots', commit, file));
      }
    }
    mkdirSync(at('hf', 'models--openai--gpt-oss-20b', 'blobs'), { recursive: true });
    writeFileSync(at('hf', 'models--openai--gpt-oss-20b', 'blobs', `${digest(9)}.incomplete`), 'x');

    // Ollama: whole; digest that climbs out; blob missing; blob that links outside.
    put('mini-ollama-2025-08.gguf', 'ollama', 'blobs', `sha256-${digest(1)}`);
    manifest('mini', `sha256:${digest(1)}`);
    manifest('evil', 'sha256:../../../../etc/passwd');
    manifest('gone', `sha256:${digest(2)}`);
    symlinkSync('/etc/passwd', at('ollama', 'blobs', `sha256-${digest(3)}`));
    manifest('outside', `sha256:${digest(3)}`);
    writeFileSync(at('ollama', 'manifests', 'registry.ollama.ai', 'library', 'gpt-oss', 'garbled'), '{');

    put('mini.gguf', 'lmstudio', 'lmstudio-community', 'gpt-oss-mini-GGUF', 'gpt-oss-mini-MXFP4.gguf');
    symlinkSync('.', at('lmstudio', 'loop'));
    truncateSync(put('mini.gguf', 'lmstudio', 'lmstudio-community', 'gpt-oss-half-GGUF', 'gpt-oss-half.gguf'), 4000);
    put('mini-q8.gguf', 'llama', 'ggml-org_gpt-oss-mini-GGUF_gpt-oss-mini.gguf');
    writeFileSync(at('llama', 'ggml-org_gpt-oss-20b.gguf.downloadInProgress'), 'GGUF');
    put('mini.gguf', 'own', 'models', 'mine.gguf');
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('are listed from every store, whole ones without a problem', () => {
    const whole = findModels(settings).filter((model) => model.problem === null);
    expect(whole.map((model) => model.id)).toEqual([
      'own:mine.gguf',
      'hf:openai/gpt-oss-mini',
      'ollama:gpt-oss:mini',
      'lmstudio:lmstudio-community/gpt-oss-mini-GGUF/gpt-oss-mini-MXFP4.gguf',
      'llama.cpp:ggml-org_gpt-oss-mini-GGUF_gpt-oss-mini.gguf',
    ]);
    expect(whole[1]).toMatchObject({ format: 'safetensors', quantisation: 'MXFP4 + BF16' });
    expect(whole[4].quantisation).toContain('Q8_0');
  });

  it('are listed with the reason when they are broken', () => {
    const problems = Object.fromEntries(
      findModels(settings)
        .filter((model) => model.problem !== null)
        .map((model) => [model.id, model.problem]),
    );
    expect(problems).toMatchObject({
      'hf:openai/gpt-oss-torn': expect.stringContaining('1 of 3 files missing'),
      'hf:openai/gpt-oss-20b': expect.stringContaining('not finished'),
      'ollama:gpt-oss:evil': expect.stringContaining('malformed digest'),
      'ollama:gpt-oss:gone': expect.stringContaining('missing'),
      'ollama:gpt-oss:outside': expect.stringContaining('outside the store'),
      'ollama:gpt-oss:garbled': expect.stringContaining('not JSON'),
    });
    expect(Object.keys(problems).some((id) => id.includes('gpt-oss-half'))).toBe(true);
    expect(Object.keys(problems).some((id) => id.includes('downloadInProgress'))).toBe(true);
  });

  it('resolve by id, by part of an id, and by path', () => {
    expect(resolveModel('ollama:gpt-oss:mini', settings)).toContain(`sha256-${digest(1)}`);
    expect(resolveModel('hf:openai/gpt-oss-mini', settings)).toContain(commit);
    expect(resolveModel('mine', settings)).toBe(at('own', 'models', 'mine.gguf'));
    expect(resolveModel(at('own', 'models', 'mine.gguf'), settings)).toBe(at('own', 'models', 'mine.gguf'));
  });

  it.each([
    ['gpt-oss-mini', 'not-found', 'fits 3 models'],
    ['nonsense', 'not-found', 'own:mine.gguf'],
    ['../../no-such-model-here', 'not-found', 'no model'],
    ['', 'not-found', 'no model'],
    ['hf:openai/gpt-oss-torn', 'bad-checkpoint', 'missing'],
  ])('refuse %j as %s', (word, code, text) => {
    let caught: unknown;
    try {
      resolveModel(word, settings);
    } catch (error) {
      caught = error;
    }
    expect(isGptOssError(caught) && caught.code).toBe(code);
    expect(String(caught)).toContain(text);
  });
});
