// Bundles the entries that run in a browser, each as one ES module, into a folder (default dist/web) and reports their
// sizes. A Node module that leaks into one of them fails the build with the name of the file that imports it. The bundles are for tests and for pages without a build step; other programs import the package's entries.
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type BuildFailure, build, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Entries that have to run in a browser: source file by the name of its bundle. */
export const webEntries: Readonly<Record<string, string>> = {
  gptoss: 'src/browser.ts',
  harmony: 'src/harmony.ts',
  tokenizer: 'src/tokenizer.ts',
};

const builtin = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`)]);

/** Names each import of a Node module and who imports it. */
const refuseNode: Plugin = {
  name: 'refuse-node',
  setup({ onResolve }) {
    onResolve({ filter: /.*/ }, ({ path, importer }) => {
      if (!builtin.has(path) && !path.startsWith('node:')) return undefined;
      const from = importer.startsWith(root) ? importer.slice(root.length) : importer;
      return { errors: [{ text: `${from} imports ${path}, which a browser does not have` }] };
    });
  },
};

export interface Bundle {
  readonly name: string;
  readonly bytes: number;
  readonly gzip: number;
  /** Own source files in it. */
  readonly files: number;
  readonly packages: readonly string[];
}

export interface WebOptions {
  readonly folder?: string; // default dist/web
  readonly entries?: Readonly<Record<string, string>>;
  readonly minify?: boolean; // default true
}

/** Bundles the entries into the folder. Rejects when anything of Node is in one. */
export async function buildWeb(options: WebOptions = {}): Promise<Bundle[]> {
  const { folder = `${root}dist/web`, entries = webEntries, minify = true } = options;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([out, file]) => ({ in: file, out })),
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome120', 'firefox120', 'safari17.4'],
    minify,
    sourcemap: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
    plugins: [refuseNode],
  });
  const bundles = Object.entries(metafile.outputs).filter(([path]) => path.endsWith('.js'));
  return bundles
    .map(([path, { inputs }]) => {
      const text = readFileSync(root + path);
      const from = Object.keys(inputs);
      const packages = from.flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []);
      return {
        name: basename(path),
        bytes: text.length,
        gzip: gzipSync(text, { level: 9 }).length,
        files: from.filter((input) => input.startsWith('src/')).length,
        packages: [...new Set(packages)],
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    for (const { name, bytes, gzip, files, packages } of await buildWeb()) {
      const with_ = packages.length > 0 ? `, with ${packages.join(', ')}` : '';
      process.stdout.write(`${name.padEnd(14)} ${kB(bytes)}, ${kB(gzip)} gzip; ${files} source files${with_}\n`);
    }
  } catch (error) {
    const { errors = [], message } = error as Partial<BuildFailure>;
    process.stderr.write(`${errors.map(({ text }) => text).join('\n') || message}\n`);
    process.exitCode = 1;
  }
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`.padStart(9);
}
