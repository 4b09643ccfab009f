"""A character-level GPT, trained as the public minimal ones are.

Settings at the top that the command line may override, batches cut from one long tensor, an
estimate of the loss every so often, gradient accumulation, warm-up and cosine decay, and clipping.
"""

import json
import math
import sys

import torch
import torch.nn as nn
from torch.nn import functional

# settings; `--name=value` overrides one
eval_interval = 10
eval_batches = 3
max_iterations = 30
batch_size = 8
accumulation = 2
block_size = 32
layers = 2
heads = 2
width = 48
learning_rate = 2e-3
min_learning_rate = 2e-4
warmup = 5
weight_decay = 0.1
clip = 1.0
compile_model = 0
seed = 1337
for argument in sys.argv[1:]:
    name, _, value = argument.removeprefix("--").partition("=")
    globals()[name] = type(globals()[name])(value)

torch.manual_seed(seed)
torch.set_num_threads(1)

text = "".join(f"{n} squared is {n * n}, and {n} halved is {n / 2}.\n" for n in range(900))
characters = sorted(set(text))
index_of = {character: i for i, character in enumerate(characters)}
encoded = torch.tensor([index_of[character] for character in text])
cut = int(0.9 * len(encoded))
splits = {"train": encoded[:cut], "val": encoded[cut:]}


def get_batch(split):
    data = splits[split]
    starts = torch.randint(len(data) - block_size - 1, (batch_size,))
    x = torch.stack([data[s : s + block_size] for s in starts])
    y = torch.stack([data[s + 1 : s + 1 + block_size] for s in starts])
    return x, y


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)

    def forward(self, x):
        b, t, c = x.size()
        q, k, v = (
            part.view(b, t, heads, c // heads).transpose(1, 2)
            for part in self.project_in(x).split(width, dim=2)
        )
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project_out(out.transpose(1, 2).contiguous().view(b, t, c))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention()
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(characters), width)
        self.positions = nn.Embedding(block_size, width)
        self.layers = nn.ModuleList([Layer() for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(characters), bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, x, targets=None):
        h = self.tokens(x) + self.positions(torch.arange(x.size(1)))
        for layer in self.layers:
            h = layer(h)
        logits = self.head(self.norm(h))
        if targets is None:
            return logits, None
        return logits, functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


def rate_at(iteration):
    if iteration < warmup:
        return learning_rate * (iteration + 1) / (warmup + 1)
    done = (iteration - warmup) / max(1, max_iterations - warmup)
    return min_learning_rate + 0.5 * (1 + math.cos(math.pi * done)) * (
        learning_rate - min_learning_rate
    )


model = GPT()
decayed = [p for p in model.parameters() if p.dim() >= 2]
others = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
    lr=learning_rate,
    betas=(0.9, 0.95),
)
if compile_model:
    model = torch.compile(model, backend="aot_eager")


@torch.no_grad()
def estimate_loss():
    model.eval()
    estimates = {}
    for split in splits:
        total = 0.0
        for _ in range(eval_batches):
            _, loss = model(*get_batch(split))
            total += loss.item()
        estimates[split] = total / eval_batches
    model.train()
    return estimates


losses, estimates = [], []
x, y = get_batch("train")
for iteration in range(max_iterations):
    for group in optimizer.param_groups:
        group["lr"] = rate_at(iteration)
    if iteration % eval_interval == 0:
        estimates.append(estimate_loss())
        print(f"iteration {iteration}: {estimates[-1]['train']:.4f} {estimates[-1]['val']:.4f}")
    for _ in range(accumulation):
        _, loss = model(x, y)
        loss = loss / accumulation
        x, y = get_batch("train")  # while the device is busy with the forward pass
        loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item() * accumulation)
print(json.dumps({"losses": losses, "estimates": estimates}))
