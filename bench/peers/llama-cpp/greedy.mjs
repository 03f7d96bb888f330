// Greedy tokens of llama.cpp for a list of prompts, as JSON on stdout. Called by test/llama-cpp.ts:
//   node greedy.mjs '{"model":"x.gguf","prompts":[[1,2]],"stops":[3],"limit":60}'
import { getLlama } from 'node-llama-cpp';

const { model: modelPath, prompts, stops, limit } = JSON.parse(process.argv[2]);
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: 'disabled' });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads: 1 });
const sequence = context.getSequence();
const answers = [];
for (const prompt of prompts) {
  await sequence.clearHistory();
  const answer = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    answer.push(token);
    if (stops.includes(token) || answer.length >= limit) break;
  }
  answers.push(answer);
}
process.stdout.write(JSON.stringify(answers));
process.exit(0);
