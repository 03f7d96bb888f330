// Runs one of the repository's own TypeScript tools: `node scripts/run.mjs scripts/NAME.ts [arguments]`.
// Node 20 does not strip types by itself, so tsx (a development dependency) does it, in this process.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { register } from 'tsx/esm/api';
import { enterUserFolder } from './user-folder.mjs';

const [script, ...rest] = process.argv.slice(2);
if (script === undefined) {
  process.stderr.write('usage: node scripts/run.mjs SCRIPT.ts [arguments]\n');
  process.exit(2);
}
const path = resolve(script);

enterUserFolder();

process.argv = [process.argv[0], path, ...rest];
register();
await import(pathToFileURL(path).href);
