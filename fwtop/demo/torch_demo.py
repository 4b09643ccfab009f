"""A small real training in PyTorch: a GPT that learns to add, on sums made on the spot.

A script like any user's: it runs under plain `python torch_demo.py`, and knows nothing of fwtop but
the optional `mark`. It has what a real training has (batches from a DataLoader, evaluation between
epochs, a shorter last batch, a compiled loss), so that every panel of the viewer has something to
show within seconds. It must import nothing of the fwtop package: the interpreter that has torch may
not have fwtop.
"""

# mypy: disable-error-code="misc, untyped-decorator, no-any-return"
from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

try:
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.utils.data import DataLoader, Dataset
except ImportError:
    sys.exit("this demo trains with PyTorch, and this Python has none: pip install torch")

try:
    from fwtop_profilers import mark
except ImportError:

    def mark(name: str, value: object = None) -> None:
        """Without fwtop there is no time axis to put a mark on."""


ALPHABET = "0123456789+= "
WIDTH = 24
"""Characters in a sample: ` 123+456=579`, twice."""


class Sums(Dataset):
    """Sums of two numbers as text, each made when it is asked for, from its index alone."""

    def __init__(self, count: int, seed: int, delay_s: float) -> None:
        self.count = count
        self.seed = seed
        self.delay_s = delay_s

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.delay_s:
            time.sleep(self.delay_s)  # what decoding an image or a slow disk would cost
        text = ""
        for part in range(2):
            mixed = (index * 2 + part + self.seed) * 2654435761 % 2**32
            left, right = mixed % 1000, mixed // 1000 % 1000
            text += f"{left:4d}+{right}={left + right}"[:WIDTH]
        text = text[: WIDTH + 1].ljust(WIDTH + 1)
        return torch.tensor([ALPHABET.index(character) for character in text])


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a normalization."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.before_network = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Batch x length x width in, the same out."""
        batch, length, width = x.shape
        projected = self.queries_keys_values(self.before_attention(x))
        heads = projected.view(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.mix(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.network(self.before_network(x))


class AddingGPT(nn.Module):
    """Characters in, logits of each next character out."""

    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.positions = nn.Embedding(WIDTH, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.final = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(ALPHABET))

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Batch x length in, batch x length x alphabet out."""
        positions = torch.arange(characters.shape[1], device=characters.device)
        x = self.characters(characters) + self.positions(positions)
        for block in self.blocks:
            x = block(x)
        return self.head(self.final(x))


def smoothed_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with label smoothing.

    The branch depends on the data, which breaks the graph when this is compiled: a classic, and the
    Compile panel names this line.
    """
    log_probabilities = functional.log_softmax(logits.flatten(0, 1), dim=-1)
    hit = -log_probabilities.gather(1, targets.reshape(-1, 1)).mean()
    if hit > 20:
        hit = hit.clamp(max=20)
    return 0.95 * hit - 0.05 * log_probabilities.mean()


def compiled(function: Callable[..., Any], whole_model: bool) -> Any:
    """`function` under torch.compile.

    The first C++ code that Inductor makes on a machine takes some 20 s of compiling, so without
    --compile the graphs are captured and run as they are.
    """
    if not whole_model:
        return torch.compile(function, backend="aot_eager")
    if any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return torch.compile(function)
    print("no C++ compiler here (apt install g++): graphs are captured, and run as they are")
    return torch.compile(function, backend="aot_eager")


@torch.no_grad()
def evaluate(
    model: nn.Module, loader: DataLoader, loss_of: Callable[..., torch.Tensor], device: str
) -> float:
    """The mean loss on sums that the model was not trained on."""
    model.eval()
    losses = []
    for batch in loader:
        batch = batch.to(device)
        losses.append(loss_of(model(batch[:, :-1]), batch[:, 1:]).item())
    model.train()
    return sum(losses) / len(losses)


class Progress:
    """A progress line in the manner of tqdm; whole lines now and then without a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.terminal = sys.stderr.isatty()
        self.shown_at = 0.0

    def show(self, epoch: int, done: int, loss: float, rate: float) -> None:
        """Draw the line, if the last one is old enough."""
        now = time.monotonic()
        if now - self.shown_at < (0.1 if self.terminal else 2.0) and done < self.total:
            return
        self.shown_at = now
        filled = done * 20 // self.total
        line = f"epoch {epoch} |{'█' * filled}{'·' * (20 - filled)}| {done}/{self.total}"
        line += f" [{rate:5.1f} steps/s, loss {loss:.3f}]"
        ending = "\n" if not self.terminal else ""
        print(("\r" if self.terminal else "") + line, end=ending, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Leave the line."""
        if self.terminal:
            print(file=sys.stderr)


def train(options: argparse.Namespace) -> None:
    """Epochs until the time is over."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))  # the rest is for whoever watches
    device = "cuda" if torch.cuda.is_available() else "cpu"
    delay_s = 0.002 if options.slow_input else 0.0
    samples = options.batch * options.steps_per_epoch - options.batch // 2  # a shorter last batch
    loader = DataLoader(
        Sums(samples, 0, delay_s), options.batch, shuffle=True, num_workers=options.workers
    )
    held_out = DataLoader(Sums(options.batch * 10, 10**6, 0.0), options.batch)
    model: nn.Module = AddingGPT(options.layers, options.width, heads=4).to(device)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"training on {device}: {parameters:,} parameters, {len(loader)} steps an epoch")
    loss_of = smoothed_loss if options.no_compile else compiled(smoothed_loss, options.compile)
    if options.compile:
        model = compiled(model, True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    began = time.monotonic()
    for epoch in range(1, 10**6):
        mark("epoch", epoch)
        progress = Progress(len(loader))
        epoch_began = time.monotonic()
        for done, batch in enumerate(loader, 1):
            batch = batch.to(device)
            loss = loss_of(model(batch[:, :-1]), batch[:, 1:])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            value = loss.item()
            progress.show(epoch, done, value, done / (time.monotonic() - epoch_began))
            if time.monotonic() - began > options.seconds:
                break
        progress.finish()
        judged = evaluate(model, held_out, loss_of, device)
        print(
            f"epoch {epoch}: train loss {value:.3f}, held-out loss {judged:.3f} "
            f"(perplexity {math.exp(judged):.2f})",
            flush=True,
        )
        if time.monotonic() - began > options.seconds:
            break
    print(f"done: {time.monotonic() - began:.0f} s")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A small GPT that learns to add.")
    parser.add_argument("--seconds", type=float, default=120, help="how long to train")
    parser.add_argument("--compile", action="store_true", help="torch.compile the whole model")
    parser.add_argument("--no-compile", action="store_true", help="not even the loss")
    parser.add_argument("--slow-input", action="store_true", help="make the input the bottleneck")
    parser.add_argument("--workers", type=int, default=0, help="DataLoader workers (default 0)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--steps-per-epoch", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        train(parse())
    except KeyboardInterrupt:
        print("\nstopped by hand", file=sys.stderr)
