// Where models of this machine may lie and how to reach the hub, read once from the environment and passed on as values.
// The layouts of the stores themselves are in find.ts. Values follow huggingface_hub, Ollama, LM Studio and llama.cpp.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface HubSettings {
  /** Hugging Face cache: holds `models--org--name` folders. */
  readonly hfCache: string;
  readonly endpoint: string; // no trailing slash
  readonly token: string | null;
  readonly offline: boolean;
  readonly ollama: readonly string[]; // folders with `manifests` and `blobs`
  readonly lmStudio: readonly string[]; // folders with publisher/repo/file.gguf
  readonly llamaCpp: readonly string[]; // folders with org_repo_file.gguf
  /** Our own store (GPTOSS_HOME): `models/` and caches. */
  readonly home: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function hubSettings(
  env: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): HubSettings {
  const path = (key: string): string | null => (env[key] ? resolve(expandHome(env[key]!, home)) : null);
  const truthy = (key: string): boolean => /^(1|on|yes|true)$/i.test(env[key] ?? '');
  const xdgCache = path('XDG_CACHE_HOME');
  const hfHome = path('HF_HOME') ?? join(xdgCache ?? join(home, '.cache'), 'huggingface');
  const hfCache = path('HF_HUB_CACHE') ?? path('HUGGINGFACE_HUB_CACHE') ?? join(hfHome, 'hub');
  const userCache =
    platform === 'darwin'
      ? join(home, 'Library', 'Caches')
      : platform === 'win32'
        ? (path('LOCALAPPDATA') ?? join(home, 'AppData', 'Local'))
        : (xdgCache ?? join(home, '.cache'));
  const ollama = [path('OLLAMA_MODELS'), join(home, '.ollama', 'models')];
  if (platform === 'linux') ollama.push('/usr/share/ollama/.ollama/models');
  return {
    hfCache,
    endpoint: (env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, ''),
    token: readToken(env, path('HF_TOKEN_PATH') ?? join(hfHome, 'token')),
    offline: truthy('HF_HUB_OFFLINE') || truthy('TRANSFORMERS_OFFLINE'),
    ollama: distinct(ollama),
    lmStudio: distinct([
      lmStudioFolder(home),
      join(home, '.lmstudio', 'models'),
      join(home, '.cache', 'lm-studio', 'models'),
    ]),
    llamaCpp: distinct([path('LLAMA_CACHE'), join(userCache, 'llama.cpp')]),
    home: path('GPTOSS_HOME') ?? join(userCache, 'gptoss'),
  };
}

function expandHome(path: string, home: string): string {
  return path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path;
}

function distinct(paths: readonly (string | null)[]): string[] {
  return [...new Set(paths.filter((p): p is string => p !== null))];
}

function readToken(env: Environment, file: string): string | null {
  const direct = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'];
  if (direct) return direct.trim();
  try {
    return readFileSync(file, 'utf8').trim() || null;
  } catch {
    return null; // no token: the gpt-oss repositories need none
  }
}

/** LM Studio lets its user move the models; its settings say where. */
function lmStudioFolder(home: string): string | null {
  const file = join(home, '.lmstudio', 'settings.json');
  if (!existsSync(file)) return null;
  try {
    const settings: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const folder = (settings as Record<string, unknown> | null)?.['downloadsFolder'];
    return typeof folder === 'string' && folder !== '' ? resolve(expandHome(folder, home)) : null;
  } catch {
    return null; // not our file: a setting we cannot read is a setting we do not use
  }
}
