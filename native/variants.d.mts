// Types of variants.mjs for the tests.
export interface Variant {
  readonly unit: string;
  readonly arch: readonly string[];
  readonly gcc: readonly string[];
  readonly msvc: readonly string[];
  readonly needs: readonly string[];
}
export const variants: readonly Variant[];
export function variantsOf(arch: string): readonly Variant[];
export function nameOf(variant: Variant): string;
export function includeOf(list: readonly Variant[]): string;
export function sourcesOf(file: string, seen?: Set<string>): Set<string>;
