// Messages to the library's JSON and back: the same prompt comes out.

import { describe, expect, it } from 'vitest';
import { o200kEncoding } from './encoding.testing.ts';
import { messageFromJson, messageToJson } from './message-json.ts';
import type { Message } from './messages.ts';
import { renderPrompt } from './render.ts';

const { encoding, text } = o200kEncoding();

const messages: Message[] = [
  {
    role: 'system',
    content: [
      {
        type: 'system',
        effort: 'high',
        currentDate: '2026-01-02',
        tools: [{ name: 'python', text: '## python\n\nRuns code.\n\nPrint results.' }],
      },
    ],
  },
  {
    role: 'developer',
    content: [
      {
        type: 'developer',
        instructions: 'Be brief.',
        functions: [
          { name: 'f', description: 'F.', parameters: { type: 'object', properties: { a: {} } } },
          { name: 'g' },
        ],
      },
    ],
  },
  {
    role: 'user',
    name: 'ann',
    content: [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ],
  },
  {
    role: 'assistant',
    channel: 'commentary',
    recipient: 'functions.f',
    contentType: '<|constrain|>json',
    content: '{}',
  },
  { role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: '1' },
];

describe('messages as JSON', () => {
  it('render to the same prompt after a round trip', () => {
    const json = JSON.parse(JSON.stringify(messages.map(messageToJson)));
    const back = json.map(messageFromJson);
    expect(text(renderPrompt(encoding, { messages: back }))).toBe(text(renderPrompt(encoding, { messages })));
    expect(back.map(messageToJson)).toEqual(json);
  });

  it("have the library's field names", () => {
    expect(messageToJson(messages[3]!)).toEqual({
      role: 'assistant',
      channel: 'commentary',
      recipient: 'functions.f',
      content_type: '<|constrain|>json',
      content: '{}',
    });
    expect(messageToJson(messages[0]!)).toMatchObject({
      content: [
        {
          type: 'system_content',
          reasoning_effort: 'High',
          knowledge_cutoff: '2024-06',
          conversation_start_date: '2026-01-02',
          channel_config: { valid_channels: ['analysis', 'commentary', 'final'], channel_required: true },
          tools: { python: { name: 'python', description: 'Runs code.\n\nPrint results.', tools: [] } },
        },
      ],
    });
  });

  it('leave out of the prompt what is absent', () => {
    const system = messageFromJson({ role: 'system', content: [{ type: 'system_content', model_identity: 'X' }] });
    expect(text(renderPrompt(encoding, { messages: [system] }))).toBe(
      '<|start|>system<|message|>X<|end|><|start|>assistant',
    );
  });

  it('are refused with the field that is wrong', () => {
    const refused: [unknown, RegExp][] = [
      [null, /a message .* an object/],
      [{ role: 'robot', content: '' }, /role/],
      [{ role: 'user' }, /content/],
      [{ role: 'user', content: '', channel: 3 }, /channel/],
      [{ role: 'user', content: [{ type: 'image' }] }, /type of a content part/],
      [{ role: 'user', content: [{ type: 'system_content' }] }, /type of a content part/],
      [{ role: 'user', content: ['x'] }, /a content part/],
      [{ role: 'system', content: [{ type: 'system_content', reasoning_effort: 'max' }] }, /reasoning_effort/],
      [
        { role: 'system', content: [{ type: 'system_content', channel_config: { valid_channels: [1] } }] },
        /valid_channels/,
      ],
      [
        { role: 'developer', content: [{ type: 'developer_content', tools: { f: { tools: [{}] } } }] },
        /name of a function/,
      ],
      [
        { role: 'developer', content: [{ type: 'developer_content', tools: { f: { tools: {} } } }] },
        /tools of a namespace/,
      ],
    ];
    for (const [json, message] of refused) expect(() => messageFromJson(json)).toThrow(message);
    const formats: Message = {
      role: 'developer',
      content: [{ type: 'developer', responseFormats: [{ name: 'x', schema: {} }] }],
    };
    expect(() => messageToJson(formats)).toThrow(/response formats/);
  });
});
