// `npm start`: brings dist/ up to date if a source is newer, then runs the command line in this very process.
// Prints nothing on stdout; one line on stderr when it has to compile. Next: build.mjs, src/cli/bin.ts.
import { buildTypeScript, isCurrent } from './build.mjs';
import { enterUserFolder } from './user-folder.mjs';

enterUserFolder();

if (!isCurrent()) {
  process.stderr.write('gptoss: building (the sources are newer than dist/) …\n');
  const complaints = buildTypeScript();
  if (complaints !== null) {
    const errors = complaints.match(/error TS\d+/g)?.length ?? 0;
    process.stderr.write(`gptoss: built with ${errors} type error(s); \`npm run typecheck\` shows them\n`);
  }
}
await import('../dist/cli/bin.js');
