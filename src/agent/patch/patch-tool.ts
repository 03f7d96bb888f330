// Owns: `apply_patch`, the editing tool gpt-oss was trained with, over one folder. A patch is applied whole or not at all.
// Writing needs permission; what would be written is named in the question. Next: patch-text.ts, folder.node.ts.

import { type Need, type Tool, type ToolInput, type ToolOutput, toolError } from '../tool.ts';
import { type FileChange, PatchError, parsePatch, patchIn, updatedText } from './patch-text.ts';

/** What a patch may touch. Paths are relative, with `/`; what lies outside is refused with a PatchError. */
export interface PatchFolder {
  /** Shown to whoever allows a write. */
  readonly name: string;
  /** Null: there is no such file. */
  read(path: string): Promise<string | null>;
  /** All of them or none. Null: the file goes away. */
  write(files: ReadonlyMap<string, string | null>): Promise<void>;
}

const description = `Edits files with a patch. A patch looks like this:

*** Begin Patch
*** Add File: notes/new.txt
+every line of a new file begins with a plus
*** Update File: src/app.py
*** Move to: src/main.py
@@ def greet():
 a line of context
-a line to remove
+a line to add
*** Delete File: old.txt
*** End Patch

Each file section is Add, Update (with an optional Move to) or Delete. A hunk begins with @@ and may name a line above the place. Give about three lines of context around each change, as the file has them; end a hunk with *** End of File when it stands at the end. Paths are relative. The message is the patch itself.`;

export function applyPatchTool(folder: PatchFolder): Tool {
  return {
    recipient: 'functions.apply_patch',
    definition: {
      name: 'apply_patch',
      description,
      parameters: { type: 'string', description: 'From *** Begin Patch to *** End Patch.' },
    },
    needs: (input) => needOf(input, folder),
    async run({ text }): Promise<ToolOutput> {
      try {
        const { files, lines, fuzz } = await plan(parsePatch(patchIn(text)), folder);
        await folder.write(files);
        return {
          text: ['Done!', ...lines].join('\n'),
          details: { files: lines, fuzz },
        };
      } catch (error) {
        if (error instanceof PatchError) return toolError(error.message);
        throw error;
      }
    },
  };
}

/** Null for a patch that cannot be read: it will write nothing. */
function needOf({ text }: ToolInput, folder: PatchFolder): Need | null {
  try {
    const changes = parsePatch(patchIn(text)).map((change) =>
      change.type === 'update' && change.moveTo !== null
        ? `move ${change.path} to ${change.moveTo}`
        : `${change.type} ${change.path}`,
    );
    const more = changes.length > 8 ? ` and ${changes.length - 8} more` : '';
    return {
      effects: ['write'],
      summary: `in ${folder.name}: ${changes.slice(0, 8).join(', ')}${more}`,
      scope: folder.name,
    };
  } catch (error) {
    if (error instanceof PatchError) return null;
    throw error;
  }
}

interface Plan {
  readonly files: ReadonlyMap<string, string | null>;
  readonly lines: readonly string[];
  readonly fuzz: number;
}

async function plan(changes: readonly FileChange[], folder: PatchFolder): Promise<Plan> {
  const files = new Map<string, string | null>();
  const lines: string[] = [];
  let fuzz = 0;
  for (const change of changes) {
    const { type, path } = change;
    const before = await folder.read(path);
    if (type === 'add') {
      if (before !== null) throw new PatchError(`Add File Error - file already exists: ${path}`);
      files.set(path, change.text);
      lines.push(`A ${path}`);
      continue;
    }
    if (before === null) {
      throw new PatchError(`${type === 'delete' ? 'Delete' : 'Update'} File Error - missing file: ${path}`);
    }
    if (type === 'delete') {
      files.set(path, null);
      lines.push(`D ${path}`);
      continue;
    }
    const { moveTo, hunks } = change;
    const after = updatedText(before, hunks, path);
    fuzz += after.fuzz;
    if (moveTo !== null) {
      if ((await folder.read(moveTo)) !== null) throw new PatchError(`Move to Error - file already exists: ${moveTo}`);
      files.set(path, null);
      files.set(moveTo, after.text);
      lines.push(`R ${path} -> ${moveTo}`);
    } else {
      files.set(path, after.text);
      lines.push(`M ${path}`);
    }
  }
  return { files, lines, fuzz };
}
