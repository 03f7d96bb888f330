// The temperature at which a model wants to be sampled unless its user says otherwise, from generation_config.json: 0 where
// it says `do_sample: false`, else the `temperature` it names, else 1, for which gpt-oss was made. GGUF has no such field.

/** `metadata` of a checkpoint. */
export function usualTemperature({ generationConfig }: Readonly<Record<string, unknown>>): number {
  if (typeof generationConfig !== 'object' || generationConfig === null) return 1;
  const { do_sample: samples, temperature } = generationConfig as Record<string, unknown>;
  if (samples === false) return 0;
  return typeof temperature === 'number' && temperature >= 0 && temperature <= 2 ? temperature : 1;
}
