"""The same model in PyTorch, written the way Hugging Face's eager GptOss computes in training (one expert after another,
keys repeated for each query head, the sink as one more column of the scores): an outside yardstick for speed.ts. Nothing
of gptoss needs Python.

  python3 bench/train/pytorch.py [--threads 2] [--steps 3] [--rows 16384] [--length 512] [--batch 4]
  python3 bench/train/pytorch.py --check ../shared/fixtures/mini-train     # loss and gradients of a golden file

Needs torch (Debian: python3-torch libopenblas0-pthread; on a new processor OPENBLAS_CORETYPE=SKYLAKEX may be needed).
"""
import argparse
import json
import math
import struct
import time

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
for name, default in (("threads", 2), ("steps", 3), ("rows", 16384), ("length", 512), ("batch", 4)):
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--check")
args = parser.parse_args()
torch.set_num_threads(args.threads)


class Config:
    layers, hidden, heads, kv_heads, head_dim = 6, 256, 8, 2, 32
    experts, k, inner, vocab, window = 16, 4, 96, 2048, 128
    theta, factor, original, beta_fast, beta_slow, eps = 150000.0, 4.0, 512, 32.0, 1.0, 1e-5


def yarn(c):
    """Rotary frequencies and the factor on cosine and sine; the bounds are not rounded."""
    half = c.head_dim // 2
    extra = c.theta ** (-torch.arange(half, dtype=torch.float64) * 2 / c.head_dim)
    bound = lambda turns: c.head_dim * math.log(c.original / (turns * 2 * math.pi)) / (2 * math.log(c.theta))
    low, high = max(bound(c.beta_fast), 0), min(bound(c.beta_slow), c.head_dim - 1)
    ramp = ((torch.arange(half, dtype=torch.float64) - low) / (high - low)).clamp(0, 1)
    return (extra / c.factor * ramp + extra * (1 - ramp)).float(), 0.1 * math.log(c.factor) + 1


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(c.hidden)), c.eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


class Attention(nn.Module):
    def __init__(self, c, sliding):
        super().__init__()
        self.c, self.sliding = c, sliding
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_dim)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.o_proj = nn.Linear(c.heads * c.head_dim, c.hidden)
        self.sinks = nn.Parameter(torch.zeros(c.heads))

    def forward(self, x, cos, sin, masks):
        c, (b, t, _) = self.c, x.shape
        split = lambda y: y.view(b, t, -1, c.head_dim).transpose(1, 2)
        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))

        def rotated(y):
            first, second = y.chunk(2, -1)
            return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)

        q, k = rotated(q), rotated(k)
        k, v = (y.repeat_interleave(c.heads // c.kv_heads, 1) for y in (k, v))
        scores = q @ k.transpose(2, 3) * c.head_dim**-0.5 + masks[self.sliding]
        scores = torch.cat((scores, self.sinks.view(1, -1, 1, 1).expand(b, -1, t, 1)), -1)
        scores = scores - scores.max(-1, keepdim=True).values
        weights = F.softmax(scores, -1)[..., :-1]
        return self.o_proj((weights @ v).transpose(1, 2).reshape(b, t, -1))


class Experts(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.zeros(c.experts, c.hidden, 2 * c.inner))
        self.gate_up_proj_bias = nn.Parameter(torch.zeros(c.experts, 2 * c.inner))
        self.down_proj = nn.Parameter(torch.zeros(c.experts, c.inner, c.hidden))
        self.down_proj_bias = nn.Parameter(torch.zeros(c.experts, c.hidden))

    def forward(self, x, ids, gates):
        out = torch.zeros_like(x)
        hit = F.one_hot(ids, self.down_proj.shape[0]).permute(2, 1, 0)
        for e in range(hit.shape[0]):
            choice, rows = torch.where(hit[e])
            if rows.numel() == 0:
                continue
            both = x[rows] @ self.gate_up_proj[e] + self.gate_up_proj_bias[e]
            gate, up = both[..., ::2].clamp(max=7.0), both[..., 1::2].clamp(-7.0, 7.0)
            y = ((up + 1) * gate * torch.sigmoid(gate * 1.702)) @ self.down_proj[e] + self.down_proj_bias[e]
            out.index_add_(0, rows, y * gates[rows, choice, None])
        return out


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.router, self.experts = c, nn.Linear(c.hidden, c.experts), Experts(c)

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        logits, ids = self.router(flat).topk(self.c.k, -1)
        return self.experts(flat, ids, F.softmax(logits, -1)).view_as(x)


class Layer(nn.Module):
    def __init__(self, c, sliding):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(c), Norm(c)
        self.self_attn, self.mlp = Attention(c, sliding), Mlp(c)

    def forward(self, x, cos, sin, masks):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, masks)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Layer(c, i % 2 == 0) for i in range(c.layers))
        self.norm = Norm(c)
        self.lm_head = nn.Linear(c.hidden, c.vocab, bias=False)

    def forward(self, ids):
        c, t = self.c, ids.shape[1]
        inverse, scale = yarn(c)
        angles = torch.arange(t)[:, None].float() * inverse[None]
        cos, sin = angles.cos() * scale, angles.sin() * scale
        at = torch.arange(t)
        unseen = at[None] > at[:, None]
        beyond = unseen | (at[None] <= at[:, None] - c.window)
        masks = {s: torch.zeros(t, t).masked_fill(m, float("-inf")) for s, m in ((False, unseen), (True, beyond))}
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, masks)
        return self.lm_head(self.norm(x))


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    types = {"F32": torch.float32, "I32": torch.int32}
    of = lambda e: torch.frombuffer(data, dtype=types[e["dtype"]], count=math.prod(e["shape"]), offset=e["data_offsets"][0])
    return {name: of(e).view(e["shape"]) for name, e in header.items() if name != "__metadata__"}


def check(folder):
    j = json.load(open(f"{folder}/config.json"))
    c = Config()
    c.layers, c.hidden, c.heads, c.kv_heads = j["num_hidden_layers"], j["hidden_size"], j["num_attention_heads"], j["num_key_value_heads"]
    c.head_dim, c.experts, c.k, c.inner = j["head_dim"], j["num_local_experts"], j["num_experts_per_tok"], j["intermediate_size"]
    c.vocab, c.window, c.original = j["vocab_size"], j["sliding_window"], j["rope_scaling"]["original_max_position_embeddings"]
    model = Model(c)
    model.embed_tokens.padding_idx = j["pad_token_id"]  # no gradient for that row
    weights = read_safetensors(f"{folder}/model.safetensors")
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
    want = read_safetensors(f"{folder}/expected.safetensors")
    ids, mask = want["input_ids"][0].long(), want["loss_mask"][0][:, 1:].float()
    logits = model(ids)
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    loss = (losses * mask).sum() / mask.sum()
    loss.backward()
    worst = max((p.grad - want[f"batch0.grad.{'' if n.startswith('lm_head') else 'model.'}{n}"]).abs().max().item() for n, p in model.named_parameters())
    print(f"loss {loss.item():.6f}, expected {want['batch0.loss'].item():.6f}; largest difference of a gradient {worst:.1e}")


def measure():
    torch.manual_seed(1)
    model = Model(Config())
    for p in model.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, 0, 0.02)
    groups = [{"params": [p for p in model.parameters() if (p.dim() > 1) == d], "weight_decay": 0.1 * d} for d in (True, False)]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, torch {torch.__version__}, {args.threads} threads, {args.rows} rows a step")
    for step in range(args.steps + 1):
        start, used = time.perf_counter(), time.process_time()
        pieces, total = args.rows // (args.batch * args.length), 0.0
        optimiser.zero_grad()
        for _ in range(pieces):
            ids = torch.randint(0, Config.vocab, (args.batch, args.length))
            targets = torch.randint(0, Config.vocab, (args.batch, args.length))
            loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten()) / pieces
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        wall, cpu = time.perf_counter() - start, time.process_time() - used
        rows = pieces * args.batch * args.length
        if step > 0:
            print(f"step {step}: {rows / wall:.0f} tokens/s ({rows * args.threads / cpu:.0f} for each second of {args.threads} whole threads), loss {total:.3f}", flush=True)


if args.check:
    check(args.check)
else:
    measure()
