// `npm run check:package`: what would be published, checked as users meet it. Packs the package, then: publint and
// are-the-types-wrong on the tarball; everything that its exports and commands name is in it; laid out in a foreign
// project, it type-checks there without skipLibCheck, answers from the tiny model, and its command runs.
// Ends with `N passed, N failed`.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { buildTypeScript } from './build.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const own = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'gptoss-package-'));
let passed = 0;
let failed = 0;

/** One check: `problems` gives what is wrong, line by line. */
async function check(name, problems) {
  let lines;
  try {
    lines = await problems();
  } catch (error) {
    lines = [error.stderr?.toString() || error.stdout?.toString() || error.stack];
  }
  if (lines.length === 0) passed++;
  else failed++;
  process.stdout.write(
    `${lines.length === 0 ? 'ok    ' : 'FAILED'} ${name}\n${lines.map((line) => `  ${line}\n`).join('')}`,
  );
}

try {
  const complaints = buildTypeScript();
  if (complaints !== null) process.stdout.write(complaints);
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      shell: process.platform === 'win32',
    }),
  );
  const tarball = join(folder, packed.filename);
  const files = new Set(packed.files.map(({ path }) => path));
  const project = join(folder, 'project');
  layOut(tarball, project);

  await check('the package holds what it names', () => {
    const named = Object.values(own.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    );
    const needed = [...named, ...Object.values(own.bin), 'models/tiny/model.safetensors', 'scripts/build-native.mjs'];
    return needed
      .map((path) => path.replace(/^\.\//, ''))
      .filter((path) => !files.has(path))
      .map((path) => `${path} is missing`);
  });
  await check('the package holds nothing else', () =>
    [...files]
      .filter((path) => /\.(test|case|testing)\.|^(src|test|build|\.ci|\.github)\/|^dist\/(web\/|\.)/.test(path))
      .map((path) => `${path} does not belong in it`),
  );
  await check('publint', async () => {
    const { messages, pkg } = await publint({
      pkgDir: join(project, 'node_modules', own.name),
      strict: true,
      pack: false,
    });
    return messages.map((message) => formatMessage(message, pkg));
  });
  await check('are the types wrong', () => {
    const cli = `${root}node_modules/@arethetypeswrong/cli/dist/index.js`;
    const options = ['--profile', 'esm-only', '--no-emoji', '--exclude-entrypoints', './o200k.bin', './package.json'];
    const run = spawnSync(process.execPath, [cli, tarball, ...options], { encoding: 'utf8' });
    return run.status === 0 ? [] : (run.stdout + run.stderr).split('\n');
  });
  const modules = Object.keys(own.exports).filter((path) => !/\.(bin|json)$/.test(path));
  await check('types in a Node project', () => typeCheck(project, modules, 'NodeNext', 'node'));
  await check('types in a project with a bundler', () => typeCheck(project, modules, 'Bundler', 'node'));
  const web = modules.filter((path) => path !== '.');
  await check("types in a web project, without Node's", () => typeCheck(project, web, 'Bundler', 'none'));
  await check('the entries run in a foreign project', () => {
    const code = `
      import { open } from '${own.name}';
      import { HarmonyEncoding } from '${own.name}/harmony';
      import { o200kHarmonyFrom, o200kVocabulary } from '${own.name}/tokenizer';
      import { openFiles } from '${own.name}/browser';
      import { readFileSync } from 'node:fs';
      import { fileURLToPath } from 'node:url';
      const packed = readFileSync(fileURLToPath(import.meta.resolve('${own.name}/o200k.bin')));
      const encoding = new HarmonyEncoding(o200kHarmonyFrom(o200kVocabulary(packed)));
      const model = await open();
      let text = '';
      for await (const event of model.chat([{ role: 'user', content: 'What is 412 + 509?' }], { temperature: 0 }))
        if (event.type === 'text') text += event.text;
      await model.close();
      console.log(JSON.stringify([text.includes('921'), encoding.ids.start, typeof openFiles]));`;
    writeFileSync(join(project, 'run.mjs'), code);
    const said = execFileSync(process.execPath, ['run.mjs'], { cwd: project, encoding: 'utf8' }).trim();
    return said === '[true,200006,"function"]' ? [] : [said];
  });
  await check('the command runs in a foreign project', () => {
    const bin = join(project, 'node_modules', own.name, Object.values(own.bin)[0]);
    const said = execFileSync(process.execPath, [bin, '--version'], { cwd: project, encoding: 'utf8' }).trim();
    return said.includes(own.version) ? [] : [said];
  });
  process.stdout.write(
    `${packed.filename}: ${mB(packed.size)} packed, ${mB(packed.unpackedSize)} unpacked, ${files.size} files\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/** The tarball under node_modules/ of an otherwise empty project, beside the packages that it depends on. */
function layOut(tarball, project) {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, own.name), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', join(modules, own.name), '--strip-components=1']);
  writeFileSync(join(project, 'package.json'), '{ "type": "module", "private": true }\n');
  for (const name of [...Object.keys(own.dependencies), '@types/node', 'undici-types']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
}

function typeCheck(project, entries, moduleResolution, environment) {
  const imports = entries.map(
    (path, i) => `import * as e${i} from '${own.name}${path.slice(1)}';\nconsole.log(e${i});\n`,
  );
  writeFileSync(join(project, 'use.ts'), imports.join(''));
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ noEmit: true, strict: true, target: 'ES2023', lib: ['ES2023', 'DOM', 'DOM.Iterable'], moduleResolution },
        module: moduleResolution === 'Bundler' ? 'ESNext' : moduleResolution,
        types: environment === 'node' ? ['node'] : [],
      },
      files: ['use.ts'],
    }),
  );
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [tsc, '--pretty', 'false'], { cwd: project, encoding: 'utf8' });
  // Declarations of other packages are not ours to mend.
  const lines = run.stdout
    .split('\n')
    .filter((line) => /^(use\.ts|tsconfig|error)/.test(line) || line.includes(`/${own.name}/`));
  return run.error ? [run.error.message] : lines;
}

function mB(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
