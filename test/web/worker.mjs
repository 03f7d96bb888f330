// The model in a worker, which is where a page with an interface would keep it.

import { answer } from '/test/core.mjs';

addEventListener('message', async ({ data: question }) => {
  try {
    postMessage(await answer(question));
  } catch (error) {
    postMessage({ error: String(error) });
  }
});
