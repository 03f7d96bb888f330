// What the page and its worker both do: fetch the tiny model's files, open them, ask. Plain JavaScript, as in any page.

import { isGptOssError, openFiles } from '/web/gptoss.js';

const names = ['config.json', 'generation_config.json', 'tokenizer.json', 'chat_template.jinja', 'model.safetensors'];

export async function fetchModel() {
  const files = new Map();
  for (const name of names) {
    const response = await fetch(`/models/tiny/${name}`);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    files.set(name, new Uint8Array(await response.arrayBuffer()));
  }
  return files;
}

/** Text and generated tokens of one answer; `heard` is called with each piece of text. */
export async function ask(model, question, heard = () => {}) {
  let text = '';
  for await (const event of model.chat([{ role: 'user', content: question }], { temperature: 0, maxTokens: 200 })) {
    if (event.type === 'text') {
      text += event.text;
      heard(event.text);
    }
    if (event.type === 'done') return { text, tokens: [...event.result.tokens], finish: event.result.finishReason };
  }
  throw new Error('the answer has no end');
}

export async function answer(question, heard) {
  const model = await openFiles(await fetchModel(), { name: 'tiny', context: 1024 });
  try {
    return await ask(model, question, heard);
  } finally {
    await model.close();
  }
}

/** Code and message of what a damaged model is refused with. */
export async function refusal(name, from, bytes) {
  const files = await fetchModel();
  files.set(name, Uint8Array.of(...files.get(name).subarray(0, from), ...bytes));
  try {
    await (await openFiles(files, { context: 256 })).close();
    return null;
  } catch (error) {
    return { isOurs: isGptOssError(error), code: error.code, message: error.message };
  }
}
