// Owns: /openapi.json: every route with the schema that really checks its requests. Answers are described in words, in
// the documents of whoever made each dialect. Next: app.ts, where the routes are.

import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Env } from 'hono';
import { countSchema, messagesSchema } from './anthropic.ts';
import { chatSchema } from './chat-completions.ts';
import { completionSchema } from './completions.ts';
import { detokenizeSchema, tokenizeSchema } from './llama-cpp.ts';
import { ollamaChatSchema, ollamaGenerateSchema } from './ollama.ts';
import { namedModelSchema } from './ollama-models.ts';
import { responseSchema } from './responses.ts';

const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi('Error');

interface Route {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly body?: z.ZodType;
  readonly parameter?: string;
}

const routes: readonly Route[] = [
  { method: 'post', path: '/v1/responses', tag: 'Responses', summary: 'Create a response', body: responseSchema },
  { method: 'get', path: '/v1/responses/{id}', tag: 'Responses', summary: 'Retrieve it', parameter: 'id' },
  { method: 'delete', path: '/v1/responses/{id}', tag: 'Responses', summary: 'Delete it', parameter: 'id' },
  { method: 'post', path: '/v1/responses/{id}/cancel', tag: 'Responses', summary: 'Cancel it', parameter: 'id' },
  { method: 'get', path: '/v1/responses/{id}/input_items', tag: 'Responses', summary: 'Its input', parameter: 'id' },
  { method: 'post', path: '/v1/chat/completions', tag: 'Chat Completions', summary: 'Answer a chat', body: chatSchema },
  {
    method: 'post',
    path: '/v1/completions',
    tag: 'Completions',
    summary: 'Go on from a prompt',
    body: completionSchema,
  },
  { method: 'get', path: '/v1/models', tag: 'Models', summary: 'List models' },
  { method: 'get', path: '/v1/models/{model}', tag: 'Models', summary: 'Retrieve a model', parameter: 'model' },
  { method: 'post', path: '/v1/messages', tag: 'Anthropic', summary: 'Answer messages', body: messagesSchema },
  { method: 'post', path: '/v1/messages/count_tokens', tag: 'Anthropic', summary: 'Count tokens', body: countSchema },
  { method: 'post', path: '/api/chat', tag: 'Ollama', summary: 'Answer a chat', body: ollamaChatSchema },
  { method: 'post', path: '/api/generate', tag: 'Ollama', summary: 'Answer a prompt', body: ollamaGenerateSchema },
  { method: 'get', path: '/api/tags', tag: 'Ollama', summary: 'List models' },
  { method: 'get', path: '/api/ps', tag: 'Ollama', summary: 'List models in memory' },
  { method: 'get', path: '/api/version', tag: 'Ollama', summary: 'Version' },
  { method: 'post', path: '/api/show', tag: 'Ollama', summary: 'Facts of a model', body: namedModelSchema },
  {
    method: 'post',
    path: '/api/pull',
    tag: 'Ollama',
    summary: 'Succeeds for models that are here',
    body: namedModelSchema,
  },
  { method: 'post', path: '/tokenize', tag: 'llama.cpp', summary: 'Text to ids', body: tokenizeSchema },
  { method: 'post', path: '/detokenize', tag: 'llama.cpp', summary: 'Ids to text', body: detokenizeSchema },
  { method: 'post', path: '/apply-template', tag: 'llama.cpp', summary: 'Prompt of a chat', body: chatSchema },
  { method: 'get', path: '/healthz', tag: 'Server', summary: 'The process runs' },
  { method: 'get', path: '/readyz', tag: 'Server', summary: 'Requests are taken' },
  { method: 'get', path: '/metrics', tag: 'Server', summary: 'Counters for Prometheus' },
];

export function describeRoutes<E extends Env>(app: OpenAPIHono<E>, version: string): void {
  const json = (schema: z.ZodType) => ({ 'application/json': { schema } });
  const error = (description: string) => ({ description, content: json(errorSchema) });
  for (const { method, path, summary, tag, body, parameter } of routes) {
    const config: RouteConfig = {
      method,
      path,
      summary,
      tags: [tag],
      request: {
        ...(body === undefined ? {} : { body: { required: true, content: json(body) } }),
        ...(parameter === undefined ? {} : { params: z.object({ [parameter]: z.string() }) }),
      },
      responses: {
        200: { description: 'The answer' },
        400: error('The request is wrong'),
        401: error('The API key is missing or wrong'),
        ...(parameter === undefined ? {} : { 404: error('There is no such thing') }),
        429: error('Too many requests wait'),
      },
    };
    app.openAPIRegistry.registerPath(config);
  }
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'gptoss', version, description: 'gpt-oss behind the APIs of OpenAI, Anthropic, Ollama, llama.cpp.' },
  });
}
