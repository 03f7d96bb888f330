// The tools that conformance cases offer, each with a request that only it can serve. Data.

import type { Tool } from './dialects.ts';

export interface AskedTool extends Tool {
  readonly prompt: string;
}

const object = (properties: object): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

export const weather: AskedTool = {
  name: 'get_weather',
  description: 'Current weather',
  parameters: object({ location: { type: 'string', maxLength: 40 } }),
  prompt: "What's the weather in Tokyo?",
};
export const weatherResult = '{"temperature":18,"condition":"sunny"}';

export const tools: readonly AskedTool[] = [
  weather,
  {
    name: 'add_event',
    description: 'Puts an event into the calendar.',
    parameters: object({
      title: { type: 'string' },
      day: { type: 'string' },
      minutes: { type: 'integer', minimum: 1 },
    }),
    prompt: 'Put "Dentist" into my calendar for 2027-03-04; it takes half an hour.',
  },
  {
    name: 'convert_units',
    description: 'Converts a quantity from one unit to another.',
    parameters: object({
      value: { type: 'number' },
      from: { enum: ['km', 'mi', 'kg', 'lb'] },
      to: { enum: ['km', 'mi', 'kg', 'lb'] },
    }),
    prompt: 'Use the converter: how many miles are 12.5 kilometres?',
  },
  {
    name: 'set_light',
    description: 'Switches the lights of a room.',
    parameters: object({
      room: { type: 'string', maxLength: 40 },
      on: { type: 'boolean' },
      brightness: { type: 'integer', minimum: 0, maximum: 100 },
    }),
    prompt: 'Turn the kitchen light on at 40 percent.',
  },
  {
    name: 'send_message',
    description: 'Sends a message to people.',
    parameters: object({ to: { type: 'array', items: { type: 'string' }, minItems: 1 }, text: { type: 'string' } }),
    prompt: 'Tell Ana and Ben that the meeting starts at nine.',
  },
  {
    name: 'search_files',
    description: 'Finds files whose names match a pattern.',
    parameters: object({ folder: { type: 'string' }, pattern: { type: 'string' } }),
    prompt: 'Which files under /home/ana/notes end in .md? Search for them.',
  },
];
