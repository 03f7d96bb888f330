// The tensors of a published checkpoint, by container: names, shapes, element types, in file order. Nothing is generated
// here; weights.ts fills them.

import type { ModelConfig } from '../../src/formats/config.ts';
import type { Role, Stored } from './weights.ts';

export interface PlannedTensor {
  readonly name: string;
  readonly shape: readonly number[]; // outermost first
  readonly role: Role;
  readonly stored: Stored;
}

type Plan = (name: string, shape: readonly number[], role: Role) => PlannedTensor;

/** The layout of ggml-org's MXFP4 files: Q8_0 attention, embedding and output, the rest F32. */
export function ggufTensorPlan(c: ModelConfig): PlannedTensor[] {
  const q8: Plan = (name, shape, role) => ({ name, shape, role, stored: 'q8_0' });
  const f32: Plan = (name, shape, role) => ({ name, shape, role, stored: 'f32' });
  const experts = (name: string, rows: number, cols: number): PlannedTensor[] => [
    { name: `${name}.weight`, shape: [c.experts, rows, cols], role: 'experts', stored: 'mxfp4' },
    f32(`${name}.bias`, [c.experts, rows], 'bias'),
  ];
  const qRows = c.heads * c.headDim;
  const kvRows = c.kvHeads * c.headDim;
  const tensors = [q8('token_embd.weight', [c.vocab, c.hidden], 'embedding')];
  for (let i = 0; i < c.layers; i++) {
    const p = `blk.${i}.`;
    tensors.push(
      f32(`${p}attn_norm.weight`, [c.hidden], 'norm'),
      q8(`${p}attn_q.weight`, [qRows, c.hidden], 'attention'),
      f32(`${p}attn_q.bias`, [qRows], 'bias'),
      q8(`${p}attn_k.weight`, [kvRows, c.hidden], 'attention'),
      f32(`${p}attn_k.bias`, [kvRows], 'bias'),
      q8(`${p}attn_v.weight`, [kvRows, c.hidden], 'attention'),
      f32(`${p}attn_v.bias`, [kvRows], 'bias'),
      q8(`${p}attn_output.weight`, [c.hidden, qRows], 'attention'),
      f32(`${p}attn_output.bias`, [c.hidden], 'bias'),
      f32(`${p}attn_sinks.weight`, [c.heads], 'sinks'),
      f32(`${p}post_attention_norm.weight`, [c.hidden], 'norm'),
      f32(`${p}ffn_gate_inp.weight`, [c.experts, c.hidden], 'router'),
      f32(`${p}ffn_gate_inp.bias`, [c.experts], 'bias'),
      ...experts(`${p}ffn_gate_exps`, c.intermediate, c.hidden),
      ...experts(`${p}ffn_up_exps`, c.intermediate, c.hidden),
      ...experts(`${p}ffn_down_exps`, c.hidden, c.intermediate),
    );
  }
  tensors.push(f32('output_norm.weight', [c.hidden], 'norm'), q8('output.weight', [c.vocab, c.hidden], 'output'));
  return tensors;
}

/** Hugging Face's layout: BF16, experts as U8 pairs. */
export function huggingFaceTensorPlan(c: ModelConfig): PlannedTensor[] {
  const bf16: Plan = (name, shape, role) => ({ name, shape, role, stored: 'bf16' });
  const experts = (name: string, rows: number, cols: number): PlannedTensor[] => [
    { name: `${name}_blocks`, shape: [c.experts, rows, cols / 32, 16], role: 'experts', stored: 'mxfp4-data' },
    { name: `${name}_scales`, shape: [c.experts, rows, cols / 32], role: 'experts', stored: 'mxfp4-scales' },
    bf16(`${name}_bias`, [c.experts, rows], 'bias'),
  ];
  const linear = (name: string, rows: number, cols: number, role: Role): PlannedTensor[] => [
    bf16(`${name}.weight`, [rows, cols], role),
    bf16(`${name}.bias`, [rows], 'bias'),
  ];
  const tensors = [bf16('model.embed_tokens.weight', [c.vocab, c.hidden], 'embedding')];
  for (let i = 0; i < c.layers; i++) {
    const p = `model.layers.${i}.`;
    tensors.push(
      bf16(`${p}input_layernorm.weight`, [c.hidden], 'norm'),
      ...linear(`${p}self_attn.q_proj`, c.heads * c.headDim, c.hidden, 'attention'),
      ...linear(`${p}self_attn.k_proj`, c.kvHeads * c.headDim, c.hidden, 'attention'),
      ...linear(`${p}self_attn.v_proj`, c.kvHeads * c.headDim, c.hidden, 'attention'),
      ...linear(`${p}self_attn.o_proj`, c.hidden, c.heads * c.headDim, 'attention'),
      bf16(`${p}self_attn.sinks`, [c.heads], 'sinks'),
      bf16(`${p}post_attention_layernorm.weight`, [c.hidden], 'norm'),
      ...linear(`${p}mlp.router`, c.experts, c.hidden, 'router'),
      ...experts(`${p}mlp.experts.gate_up_proj`, 2 * c.intermediate, c.hidden),
      ...experts(`${p}mlp.experts.down_proj`, c.hidden, c.intermediate),
    );
  }
  tensors.push(bf16('model.norm.weight', [c.hidden], 'norm'), bf16('lm_head.weight', [c.vocab, c.hidden], 'output'));
  return tensors;
}
