"""Speed of parallel attention: `python benchmarks/parallel_attention.py [--threads N] [--wall]`.

One layer, with its projections, of 12 heads x 64: forward as for inference, and forward and
backward as for training. Our paths (the definition `naive`, `augmented`, `loop`) stand beside fused
attention with a dense additive bias and beside the attention of braindecode's MVPFormer. All get
the same weights and tokens, take turns, and are checked to give the same. A time is the least of
the rounds, in CPU seconds; memory is the most that a fresh process, forked from one that has only
imported, holds in one pass beyond what it held before, in MiB (Linux only). A ratio says how many
times less than `naive`. `--grow FILE.png` draws both against the number of channels and of
segments; `--json FILE` keeps the figures.
"""

import argparse
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn import parallel_attention
from neurodecode.nn.parallel_attention import ParallelAttention, RelativeTables
from neurodecode.nn.segment_attention import Span

HEADS, HEAD_WIDTH = 12, 64
WIDTH = HEADS * HEAD_WIDTH
SHAPES = ((25, 64), (25, 128))
GROW = {
    "channels, 25 segments": [(25, c) for c in (8, 16, 32, 64, 96, 128)],
    "segments, 32 channels": [(t, 32) for t in (2, 5, 10, 20, 30, 40, 50)],
}
PASSES = ("forward", "training")

Layer = Callable[[Tensor], Tensor]


def main() -> None:
    """A table of each shape, and the drawing where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kv", type=int, nargs="+", default=[4, 12], help="key and value heads")
    parser.add_argument("--wall", action="store_true", help="seconds by the clock on the wall")
    parser.add_argument("--grow", type=Path, help="draw seconds and memory against size here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.perf_counter if options.wall else time.process_time
    if options.grow:
        rows = {title: grow(shapes, options.rounds, clock) for title, shapes in GROW.items()}
        draw(rows, options.grow)
    else:
        rows = {}
        for n_kv in options.kv:
            for shape in SHAPES:
                title = f"{shape[0]} segments x {shape[1]} channels, {HEADS} heads / {n_kv} kv"
                rows[title] = measure(WAYS, shape, n_kv, options.rounds, clock)
                show(title, rows[title])
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "rows": rows}, indent=1))


def show(title: str, row: dict[str, dict[str, float]]) -> None:
    """Print a line for each way."""
    print(f"{title}: seconds, MiB, and how many times less than naive")
    columns = [f"{which} {unit}" for which in PASSES for unit in ("s", "MiB")]
    print(f"{'':<14}" + "".join(f"{name:>22}" for name in columns))
    for way, figures in row.items():
        cells = []
        for name in columns:
            value, digits = figures[name], 3 if name.endswith(" s") else 0
            cells.append(f"{value:11.{digits}f} {row['naive'][name] / value:8.1f}x")
        print(f"{way:<14}" + "".join(f"{cell:>22}" for cell in cells))


def measure(
    ways: Sequence[str], shape: tuple[int, int], n_kv: int, rounds: int, clock: Callable[[], float]
) -> dict[str, dict[str, float]]:
    """Least seconds of each pass, the ways taking turns, and peak memory."""
    layers = {way: layer(way, *shape, n_kv) for way in ways}
    x, dy = tokens(*shape)
    figures: dict[str, dict[str, float]] = {way: {} for way in ways}
    with torch.no_grad():
        expected = layers[ways[0]](x)
        for way, call in layers.items():
            torch.testing.assert_close(call(x), expected, atol=1e-4, rtol=1e-3, msg=way)
    for _ in range(rounds):
        for which in PASSES:
            for way, call in layers.items():
                start = clock()
                once(call, which, x, dy)
                seconds = clock() - start
                best = figures[way].get(f"{which} s", seconds)
                figures[way][f"{which} s"] = min(best, seconds)
    tasks = [(way, which, *shape, n_kv) for which in PASSES for way in ways]
    with fresh_processes() as pool:
        for (way, which, *_), held in zip(tasks, pool.starmap(hold, tasks, 1), strict=True):
            figures[way][f"{which} MiB"] = held
    return figures


def fresh_processes() -> Pool:
    """One process at a time, each for one task, forked from a server that has only imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "braindecode.models", "neurodecode.nn.foundation"])
    return context.Pool(1, torch.set_num_threads, (torch.get_num_threads(),), maxtasksperchild=1)


def once(call: Layer, which: str, x: Tensor, dy: Tensor) -> None:
    """One pass."""
    if which == "forward":
        with torch.no_grad():
            call(x)
    else:
        call(x.clone().requires_grad_()).backward(dy)


def hold(way: str, which: str, n_segments: int, n_chans: int, n_kv: int) -> float:
    """MiB that a pass adds to the most that this process has held."""
    call = layer(way, n_segments, n_chans, n_kv)
    once(layer(way, 1, 2, n_kv), which, *tokens(1, 2))  # libraries load, buffers come up
    x, dy = tokens(n_segments, n_chans)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    once(call, which, x, dy)
    return resident("VmHWM") - before


def resident(which: str) -> float:
    """Memory of this process, MiB. The peak of `getrusage` begins with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def tokens(n_segments: int, n_chans: int) -> tuple[Tensor, Tensor]:
    """One window of tokens, and a gradient."""
    draw = torch.Generator().manual_seed(0)
    x, dy = torch.randn(2, 1, n_segments, n_chans, WIDTH, generator=draw)
    return x, dy


def layer(way: str, n_segments: int, n_chans: int, n_kv: int) -> Layer:
    """A layer with the same weights whichever the way, large enough for attention to be uneven."""
    torch.manual_seed(0)
    tables = RelativeTables(WIDTH, indexing="tail")
    ours = ParallelAttention(WIDTH, n_heads=HEADS, n_kv_heads=n_kv)
    with torch.no_grad():
        for table in tables.parameters():
            table.mul_(50)
    if way == "braindecode":
        return peer(ours, tables, n_segments, n_chans)
    ours.path = way  # type: ignore[assignment]
    return lambda x: ours(x, tables(n_segments, n_chans))


def dense(
    q: Tensor, k: Tensor, v: Tensor, by_time: Tensor, by_chan: Tensor, seen: Sequence[Span]
) -> Tensor:
    """Fused attention with a bias for every pair of tokens."""
    t = torch.arange(len(seen))
    ago = t[:, None] - t
    index = ago.clamp(min=0)[:, None].expand(*by_time.shape[:-1], -1)
    by_time = by_time.gather(-1, index).masked_fill((ago < 0)[:, None], -torch.inf)
    bias = (by_time.unsqueeze(-1) + by_chan.unsqueeze(-2)).flatten(3).flatten(1, 2)
    arrays = (x.flatten(1, 2).unsqueeze(1) for x in (q, k, v))
    y = functional.scaled_dot_product_attention(*arrays, attn_mask=bias.unsqueeze(1), scale=1.0)
    return y.view_as(q)


parallel_attention.PATHS["dense"] = dense


def peer(ours: ParallelAttention, tables: RelativeTables, n_segments: int, n_chans: int) -> Layer:
    """Attention of braindecode's MVPFormer with our weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from braindecode.models.mvpformer import _MVPAttention
    theirs: nn.Module = _MVPAttention(WIDTH, ours.n_heads, ours.n_kv_heads, local_window=n_segments)
    weights = {
        "attn_bias": ours.offsets.flatten(),
        "q_attn.weight": ours.query.weight,
        "c_attn.weight": torch.cat([ours.key.weight, ours.value.weight]),
        "position_net.weight": ours.time.weight,
        "channel_net.weight": ours.space.weight,
        "c_proj.weight": ours.output.weight,
    }
    theirs.load_state_dict(weights)

    def call(x: Tensor) -> Tensor:
        y: Tensor = theirs(x, tables.time[None, :n_segments], tables.space[None, :n_chans])
        return y

    return call


WAYS = ("naive", "dense", "augmented", "loop", "braindecode")


def grow(
    shapes: Sequence[tuple[int, int]], rounds: int, clock: Callable[[], float]
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of every shape, 4 heads for keys."""
    rows = {}
    for shape in shapes:
        rows["x".join(map(str, shape))] = measure(WAYS, shape, 4, rounds, clock)
        print(f"measured {shape[0]} segments x {shape[1]} channels", flush=True)
    return rows


def draw(rows: dict[str, dict[str, dict[str, dict[str, float]]]], file: Path) -> None:
    """Seconds above, memory below; a column for each axis and pass, a line for each way."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(14, 6), layout="constrained")
    columns = [(title, which) for title in rows for which in PASSES]
    for (title, which), (upper, lower) in zip(columns, axes.T, strict=True):
        place = 1 if title.startswith("channels") else 0
        sizes = [int(shape.split("x")[place]) for shape in rows[title]]
        for way in WAYS:
            for axis, unit in ((upper, "s"), (lower, "MiB")):
                values = [row[way][f"{which} {unit}"] for row in rows[title].values()]
                axis.plot(sizes, values, marker="o", markersize=3, label=way)
                axis.set(yscale="log", ylabel=unit if which == "forward" else "")
        upper.set_title(f"{which}, {title}", fontsize=9)
        lower.set_xlabel(title.split(",")[0])
    axes[0, 0].legend(fontsize=8)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
