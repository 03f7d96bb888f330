// Keeps the layers apart (ARCHITECTURE.md, "Layers"): parses every import under src/ and compares it with the table
// below. Also the rules that go with the layers: where `node:` modules, environment variables and printing may occur,
// and that each file says on top what it is. A new folder needs a row in the table; nothing is allowed by default.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { repoPath } from './shared.ts';

/** What each unit may import besides itself. `backend` is the contract (backend/*.ts); its folders are units. */
const arrows: Record<string, readonly string[]> = {
  errors: [],
  formats: ['errors'],
  text: ['formats', 'errors'],
  backend: ['formats', 'errors'],
  'backend/reference': ['backend', 'formats', 'errors'],
  'backend/cpu': ['backend', 'formats', 'errors'],
  'backend/webgpu': ['backend', 'formats', 'errors'],
  model: ['backend', 'formats', 'errors'],
  engine: ['model', 'backend', 'formats', 'errors'], // never text: tokens in, tokens out
  agent: ['engine', 'text', 'errors'],
  hub: ['formats', 'errors'],
  train: ['engine', 'model', 'backend', 'formats', 'text', 'errors'],
  evals: ['agent', 'train', 'engine', 'formats', 'text', 'errors'],
  server: ['agent', 'engine', 'text', 'errors'],
  // Files directly under src/ put the layers together for users of the library; only the command line is above them.
  surface: [
    ...['errors', 'formats', 'text', 'backend', 'backend/reference', 'backend/cpu', 'backend/webgpu', 'model'],
    ...['engine', 'agent', 'hub', 'train', 'evals', 'server'],
  ],
  cli: [
    ...['surface', 'errors', 'formats', 'text', 'backend', 'backend/reference', 'backend/cpu', 'backend/webgpu'],
    ...['model', 'engine', 'agent', 'hub', 'train', 'evals', 'server'],
  ],
};

const src = repoPath('src');

interface SourceFile {
  readonly path: string; // relative to src/, with forward slashes
  readonly text: string;
  readonly imports: readonly string[];
}

function sources(): SourceFile[] {
  const paths = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => /\.ts$/.test(path) && !/\.(test|case|testing)\.ts$/.test(path))
    .sort();
  return paths.map((path) => {
    const text = readFileSync(`${src}/${path}`, 'utf8');
    return { path, text, imports: ts.preProcessFile(text).importedFiles.map((file) => file.fileName) };
  });
}

function unitOf(path: string): string {
  const parts = path.split('/');
  if (parts.length === 1) return path === 'errors.ts' ? 'errors' : 'surface';
  if (parts[0] === 'backend' && parts.length > 2) return `backend/${parts[1]}`;
  return parts[0]!;
}

function targetOf(file: SourceFile, specifier: string): string {
  return relative(src, resolve(src, dirname(file.path), specifier))
    .split(sep)
    .join('/');
}

const mayUseNode = (path: string): boolean =>
  /^(cli|backend\/cpu|hub)\//.test(path) || path.endsWith('.node.ts') || path.endsWith('.worker.ts');

interface Facts {
  readonly accesses: readonly string[]; // "process.env", "console.log", … as written, without white space
  readonly declared: readonly string[]; // names of variables, functions, classes and types
  readonly hasDefaultExport: boolean;
}

function factsOf(file: SourceFile): Facts {
  const accesses: string[] = [];
  const declared: string[] = [];
  let hasDefaultExport = false;
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node)) accesses.push(node.getText().replace(/\s/g, '').replaceAll('?.', '.'));
    if (ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword) {
      hasDefaultExport ||= !ts.isDefaultClause(node.parent);
    }
    if (
      (ts.isVariableDeclaration(node) ||
        ts.isFunctionDeclaration(node) ||
        ts.isClassDeclaration(node) ||
        ts.isInterfaceDeclaration(node) ||
        ts.isTypeAliasDeclaration(node)) &&
      node.name !== undefined
    ) {
      declared.push(node.name.getText());
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return { accesses, declared, hasDefaultExport };
}

describe('the layers', () => {
  const files = sources();
  const facts = new Map(files.map((file) => [file, factsOf(file)]));
  const accessesOf = (file: SourceFile, pattern: RegExp): string[] =>
    facts.get(file)!.accesses.filter((access) => pattern.test(access));

  it('import only what lies below them', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const unit = unitOf(file.path);
      const allowed = arrows[unit];
      if (allowed === undefined) {
        wrong.push(`${file.path}: its folder has no row in the table of layers`);
        continue;
      }
      for (const specifier of file.imports.filter((name) => name.startsWith('.'))) {
        const target = targetOf(file, specifier);
        const targetUnit = unitOf(target);
        if (target.startsWith('..')) {
          if (!specifier.endsWith('.json')) wrong.push(`${file.path}: imports ${specifier}, which lies outside src/`);
        } else if (targetUnit !== unit && !allowed.includes(targetUnit)) {
          wrong.push(`${file.path}: ${unit} may not import ${target}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('have no cycles', () => {
    const seen = new Map<string, Set<string>>();
    for (const file of files) {
      const unit = unitOf(file.path);
      const targets = seen.get(unit) ?? new Set();
      for (const specifier of file.imports.filter((name) => name.startsWith('.'))) {
        const target = unitOf(targetOf(file, specifier));
        if (target !== unit) targets.add(target);
      }
      seen.set(unit, targets);
    }
    const cycles: string[] = [];
    const walk = (unit: string, path: readonly string[]): void => {
      if (path.includes(unit)) cycles.push([...path.slice(path.indexOf(unit)), unit].join(' -> '));
      else for (const next of seen.get(unit) ?? []) walk(next, [...path, unit]);
    };
    for (const unit of seen.keys()) walk(unit, []);
    expect(cycles).toEqual([]);
  });

  it('name each imported file with its extension, and the file exists', () => {
    const wrong = files.flatMap((file) =>
      file.imports
        .filter((name) => name.startsWith('.'))
        .filter((name) => !/\.(ts|json)$/.test(name) || !existsSync(`${src}/${targetOf(file, name)}`))
        .map((name) => `${file.path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('use node: modules only in cli/, hub/, backend/cpu/ and files named *.node.ts, so that the rest runs in a browser', () => {
    const wrong = files
      .filter((file) => !mayUseNode(file.path))
      .flatMap((file) => {
        const nodeImports = file.imports.filter((name) => name.startsWith('node:') || name.endsWith('.node.ts'));
        // index.ts is the face of the package under Node; a browser takes the other subpaths.
        const excused = unitOf(file.path) === 'surface' && file.path === 'index.ts';
        return [
          ...(excused ? [] : nodeImports.map((name) => `${file.path}: imports ${name}`)),
          ...accessesOf(file, /^(process|Buffer)\.\w+$/).map((access) => `${file.path}: uses ${access}`),
        ];
      });
    expect(wrong).toEqual([]);
  });

  it('read environment variables only in cli/ and hub/', () => {
    const wrong = files
      .filter((file) => !/^(cli|hub)\//.test(file.path))
      .filter((file) => accessesOf(file, /\bprocess\.env\b/).length > 0);
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('print only in cli/', () => {
    const wrong = files
      .filter((file) => !file.path.startsWith('cli/'))
      .filter((file) => accessesOf(file, /^(console\.\w+|process\.(stdout|stderr)\b)/).length > 0);
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('have no default exports', () => {
    expect(files.filter((file) => facts.get(file)!.hasDefaultExport).map((file) => file.path)).toEqual([]);
  });

  it('never call anything of ours a block: the word means four things here already', () => {
    const wrong = files.flatMap((file) =>
      facts
        .get(file)!
        .declared.filter((name) => /(^block|Block)(s|[A-Z_]|$)/.test(name))
        .map((name) => `${file.path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('open each file with a comment that says what it is', () => {
    const wrong = files.filter((file) => !/^(#!.*\n)?(\/\/|\/\*)/.test(file.text));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });
});
