import itertools
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError
from neurodecode.nn import segment_attention
from neurodecode.nn.parallel_attention import Cache, ParallelAttention, Places, RelativeTables

HEAD_WIDTH = 5
FLEX_IS_SLOW = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A layer, its tables and a window, all small."""

    n_segments: int = 4
    n_chans: int = 3
    n_heads: int = 4
    n_kv_heads: int = 2
    window: int | None = None
    last: bool = False
    indexing: Any = "distance"
    geometry: Any = "index"
    absent: bool = False
    dtype: torch.dtype = torch.float64

    def build(self) -> tuple[ParallelAttention, RelativeTables]:
        torch.manual_seed(0)
        width = HEAD_WIDTH * self.n_heads
        tables = RelativeTables(width, indexing=self.indexing, geometry=self.geometry)
        layer = ParallelAttention(
            width,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            content_window=self.window,
            last_sees_all=self.last,
        )
        with torch.no_grad():  # large enough for attention to be uneven
            for parameter in (*tables.parameters(), layer.offsets):
                parameter.normal_()
            layer.query.weight.mul_(3)
        return layer.to(self.dtype), tables.to(self.dtype)

    def tokens(self) -> Tensor:
        shape = (2, self.n_segments, self.n_chans, HEAD_WIDTH * self.n_heads)
        return torch.randn(shape, dtype=self.dtype, generator=torch.Generator().manual_seed(1))

    def places(self, tables: RelativeTables) -> Places:
        return tables(self.n_segments, self.n_chans, positions(self.n_chans))

    def present(self) -> Tensor | None:
        if not self.absent:
            return None
        return torch.arange(self.n_chans) < torch.tensor([[self.n_chans], [self.n_chans - 1]])


def positions(n_chans: int) -> Tensor:
    """Of electrodes within a few centimetres, (2, n_chans, 3) m; one of the second is unknown."""
    p = 0.04 * torch.randn(2, n_chans, 3, generator=torch.Generator().manual_seed(2))
    p[1, 0] = torch.nan
    return p


CASES = {
    "plain": Case(),
    "one segment": Case(n_segments=1),
    "one channel": Case(n_chans=1),
    "a token": Case(n_segments=1, n_chans=1),
    "odd": Case(n_segments=7, n_chans=5, n_heads=3, n_kv_heads=3),
    "one kv head": Case(n_segments=5, n_kv_heads=1),
    "window": Case(n_segments=6, window=2),
    "no past": Case(n_segments=4, window=0),
    "window, last sees all": Case(n_segments=6, window=1, last=True),
    "wide window": Case(window=3),
    "tail": Case(indexing="tail"),
    "absent": Case(absent=True),
    "absent, window": Case(absent=True, window=1),
    "positions": Case(geometry="position", n_chans=4),
    "positions, absent": Case(geometry="position", n_chans=4, absent=True),
    "128 channels": Case(n_segments=3, n_chans=128, n_heads=2, n_kv_heads=1, dtype=torch.float32),
}


def run(case: Case, path: Any) -> dict[str, Tensor]:
    """The output of a path, and the gradients of all that it is made from."""
    layer, tables = case.build()
    layer.path = path
    x = case.tokens().requires_grad_()
    y = layer(x, case.places(tables), case.present())
    y.mul(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).sin().view_as(y)).sum().backward()
    named = {f"layer.{n}": p for n, p in layer.named_parameters()}
    named |= {f"tables.{n}": p for n, p in tables.named_parameters()} | {"x": x}
    return {"y": y.detach()} | {n: p.grad for n, p in named.items() if p.grad is not None}


def check_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    near = 1e-9 if expected["y"].dtype is torch.float64 else 1e-5
    for name, value in expected.items():
        atol = near if name == "y" else 10 * near
        torch.testing.assert_close(
            found[name], value, atol=atol, rtol=atol, msg=lambda m, n=name: f"{n}: {m}"
        )


def softmax_by_hand(case: Case) -> Tensor:
    """The equations, one query and one key at a time, with index geometry."""
    layer, tables = case.build()
    x, h, groups = case.tokens(), HEAD_WIDTH, case.n_heads // case.n_kv_heads
    n_t, n_c = case.n_segments, case.n_chans
    q, k, v = layer.query(x), layer.key(x), layer.value(x)
    u, nu, omega = layer.offsets
    mixed = torch.zeros_like(x)
    for b, t, c, head in itertools.product(range(2), range(n_t), range(n_c), range(case.n_heads)):
        own, kv = (slice(i * h, (i + 1) * h) for i in (head, head // groups))
        scores, values = [], []
        for s, j in itertools.product(range(t + 1), range(n_c)):
            dt, dc = t - s, abs(c - j)
            if case.indexing == "tail":
                dt, dc = n_t - 1 - dt, n_c - 1 - dc
            far = case.window is not None and t - s > case.window
            content = (q[b, t, c, own] + u[kv]) @ k[b, s, j, kv]
            if far and not (case.last and t == n_t - 1):
                content = torch.zeros_like(content)
            time = (q[b, t, c, own] + nu[kv]) @ layer.time(tables.time[dt])[kv]
            space = (q[b, t, c, own] + omega[kv]) @ layer.space(tables.space[dc])[kv]
            scores.append((content + time + space) / math.sqrt(h))
            values.append(v[b, s, j, kv])
        mixed[b, t, c, own] = torch.stack(scores).softmax(0) @ torch.stack(values)
    out: Tensor = layer.output(mixed)
    return out


@pytest.mark.parametrize("name", ["plain", "window", "window, last sees all", "tail", "no past"])
@torch.no_grad()
def test_the_definition_says_what_the_equations_say(name: str) -> None:
    case = CASES[name]
    layer, tables = case.build()
    layer.path = "naive"
    torch.testing.assert_close(layer(case.tokens(), case.places(tables)), softmax_by_hand(case))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_loop_equals_the_definition(case: Case) -> None:
    check_alike(run(case, "loop"), run(case, "naive"))


@pytest.mark.parametrize("room", [1, 7, 40, 100])
@pytest.mark.parametrize("name", ["odd", "window", "absent"])
def test_tiles_of_any_size_give_the_same(
    name: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(segment_attention.TILE, "cpu", room)
    check_alike(run(CASES[name], "loop"), run(CASES[name], "naive"))


UNLIMITED = {n: c for n, c in CASES.items() if c.window is None or c.window >= c.n_segments - 1}


@pytest.mark.parametrize("case", UNLIMITED.values(), ids=UNLIMITED)
def test_augmented_equals_the_definition(case: Case) -> None:
    check_alike(run(case, "augmented"), run(case, "naive"))


@FLEX_IS_SLOW
@pytest.mark.parametrize("name", ["odd", "window, last sees all", "absent, window", "positions"])
@torch.no_grad()
def test_flex_equals_the_definition_forward(name: str) -> None:
    case = CASES[name]
    layer, tables = case.build()
    y = {}
    for layer.path in ("flex", "naive"):
        y[layer.path] = layer(case.tokens(), case.places(tables), case.present())
    torch.testing.assert_close(y["flex"], y["naive"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="gradients of flex need CUDA")
@pytest.mark.parametrize("path", ["loop", "augmented", "flex"])
@pytest.mark.parametrize("case", [Case(n_segments=5, n_chans=9), CASES["absent"]])
def test_paths_on_a_gpu_equal_the_definition(case: Case, path: Any) -> None:
    """Every gradient, those of the tables too: flex has been known to leave them at 0."""
    torch.manual_seed(0)
    layer = ParallelAttention(64, n_heads=4, n_kv_heads=2).cuda()
    tables = RelativeTables(64).cuda()
    x = torch.randn(2, case.n_segments, case.n_chans, 64, device="cuda")
    present = case.present()
    present = None if present is None else present.cuda()
    found = {}
    for layer.path in (path, "naive"):
        y = layer(x, tables(case.n_segments, case.n_chans), present)
        wanted = [*layer.parameters(), *tables.parameters()]
        found[layer.path] = [y, *torch.autograd.grad(y.sin().sum(), wanted)]
    torch.testing.assert_close(found[path], found["naive"], atol=1e-3, rtol=1e-3)


def test_every_parameter_is_reached_by_the_gradient() -> None:
    for geometry in ("index", "position"):
        case = Case(geometry=geometry)
        found = run(case, "auto")
        layer, tables = case.build()
        assert len(found) == 2 + len([*layer.parameters(), *tables.parameters()])
        assert all(value.any() for value in found.values())


def test_augmented_runs_on_the_fused_kernel() -> None:
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        run(CASES["odd"], "augmented")


@pytest.mark.parametrize("path", ["loop", "augmented"])
def test_nothing_as_large_as_all_scores_is_kept_for_training(path: Any) -> None:
    case = Case(n_segments=12, n_chans=10)
    sizes = []

    def pack(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        run(case, path)
    n_scores = 2 * case.n_heads * (case.n_segments * case.n_chans) ** 2
    assert 0 < max(sizes) < n_scores / 2


@pytest.mark.parametrize("path", ["naive", "loop", "augmented"])
def test_half_precision_is_near(path: Any) -> None:
    case = Case(n_segments=5, dtype=torch.float32)
    expected = run(case, "naive")
    with torch.autocast("cpu", torch.bfloat16):
        found = run(case, path)
    assert found["y"].dtype is torch.bfloat16
    for name, value in expected.items():
        error = (found[name].float() - value).norm() / value.norm()
        assert error < 0.05, name


@torch.no_grad()
def test_the_loop_adds_up_half_precision_in_float32() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = [(2, 20, 6, 8), (2, 20, 6, 8), (2, 20, 6, 8), (2, 20, 6, 20), (2, 20, 6, 6)]
    arrays = [torch.randn(shape, generator=draw).bfloat16() for shape in shapes]
    seen = segment_attention.spans(20, 20, 20, None, False)
    y = segment_attention.loop(*arrays, seen)
    exact = segment_attention.naive(*[array.float() for array in arrays], seen)
    assert (y != exact.bfloat16()).float().mean() < 0.01  # but for the last rounding


def test_dropout_means_the_same_on_every_path() -> None:
    case = Case()
    layer, tables = case.build()
    layer.dropout.p = 0.5
    y = []
    for layer.path in ("naive", "loop", "augmented"):
        torch.manual_seed(3)
        y.append(layer(case.tokens(), case.places(tables)))
    assert (y[0] == 0).float().mean() > 0.3
    torch.testing.assert_close(y[1:], [y[0]] * 2)


@pytest.mark.parametrize("path", ["naive", "loop", "augmented"])
@torch.no_grad()
def test_a_segment_changes_nothing_before_it(path: Any) -> None:
    case = Case(n_segments=6)
    layer, tables = case.build()
    layer.path = path
    x = case.tokens()
    before = layer(x, case.places(tables))
    for t in range(6):
        changed = x.clone()
        changed[:, t] += 1
        after = layer(changed, case.places(tables))
        torch.testing.assert_close(after[:, :t], before[:, :t], atol=0, rtol=0)
        assert (after[:, t:] != before[:, t:]).flatten(2).any(-1).all()


@pytest.mark.parametrize("geometry", ["index", "position"])
def test_an_absent_channel_changes_nothing_for_the_others(geometry: Any) -> None:
    case = Case(n_chans=5, geometry=geometry)
    layer, tables = case.build()
    p, x = positions(5), case.tokens().requires_grad_()
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    y = layer(x, tables(4, 5, p), present)
    torch.testing.assert_close(y[:1], layer(x[:1], tables(4, 5, p[:1])))
    torch.testing.assert_close(y[1:, :, :3], layer(x[1:, :, :3], tables(4, 3, p[1:, :3])))
    assert not y[1, :, 3:].any()
    y.sum().backward()
    assert x.grad is not None
    assert not x.grad[1, :, 3:].any()


def test_a_window_without_channels_is_finite() -> None:
    case = Case()
    layer, tables = case.build()
    for layer.path in ("naive", "loop", "augmented"):
        y = layer(case.tokens(), case.places(tables), torch.zeros(2, 3, dtype=torch.bool))
        assert not y.any()


def rows_of_pairs(places: Places) -> Tensor:
    """What each pair of channels reads, (..., n_chans, n_chans, width)."""
    return torch.einsum("...ckj,kw->...cjw", places.weights, places.space)


@pytest.mark.parametrize(("n_segments", "n_chans"), [(1, 1), (3, 2), (9, 7), (110, 128)])
def test_a_distance_reads_the_same_row_in_every_window(n_segments: int, n_chans: int) -> None:
    torch.manual_seed(0)
    tables = RelativeTables(4)
    small, large = tables(n_segments, n_chans), tables(110, 128)
    torch.testing.assert_close(small.time, large.time[:n_segments])
    torch.testing.assert_close(rows_of_pairs(small), rows_of_pairs(large)[:n_chans, :n_chans])


def test_tail_reads_tables_from_the_end_of_the_window() -> None:
    tables = RelativeTables(4, indexing="tail")
    places = tables(5, 3)
    torch.testing.assert_close(places.time, tables.time[:5].flip(0))
    pairs = rows_of_pairs(places)
    for c, j in itertools.product(range(3), range(3)):
        torch.testing.assert_close(pairs[c, j], tables.space[2 - abs(c - j)])


def test_positions_read_the_rows_at_both_sides_of_their_distance() -> None:
    tables = RelativeTables(4, geometry="position")
    knots = tables.knots
    assert knots[0] == 0
    torch.testing.assert_close(knots[[1, -1]], torch.tensor([0.003, 0.25]))
    near = knots[4] + 0.25 * (knots[5] - knots[4])
    x = torch.stack([torch.zeros(()), knots[7], near, torch.tensor(0.4), torch.tensor(torch.nan)])
    p = torch.stack([x, torch.zeros(5), torch.zeros(5)], dim=-1)
    pairs, rows = rows_of_pairs(tables(1, 5, p)), tables.space
    torch.testing.assert_close(pairs[0, 1], rows[7])
    torch.testing.assert_close(pairs[0, 2], 0.75 * rows[4] + 0.25 * rows[5])
    torch.testing.assert_close(pairs[0, 3], rows[23])  # farther than the last knot
    torch.testing.assert_close(pairs[4, :4], rows[24].expand(4, -1))  # unknown
    torch.testing.assert_close(pairs.diagonal(dim1=0, dim2=1).T, rows[0].expand(5, -1))


@torch.no_grad()
def test_with_positions_the_order_of_channels_is_of_no_matter() -> None:
    case = Case(geometry="position", n_chans=6)
    layer, tables = case.build()
    x, p = case.tokens(), positions(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    y, moved = layer(x, tables(4, 6, p)), layer(x[:, :, order], tables(4, 6, p[:, order]))
    torch.testing.assert_close(moved, y[:, :, order])


@torch.no_grad()
def test_by_index_only_the_reversed_order_is_the_same_montage() -> None:
    case = Case(n_chans=6)
    layer, tables = case.build()
    x, places = case.tokens(), case.places(tables)
    y = layer(x, places)
    torch.testing.assert_close(layer(x.flip(2), places), y.flip(2))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert (layer(x[:, :, order], places) - y[:, :, order]).abs().max() > 0.01


def stream(
    layer: ParallelAttention, x: Tensor, places: Places, sizes: list[int], **more: Any
) -> tuple[Tensor, Cache]:
    cache, parts = None, []
    for piece in x.split(sizes, dim=1):
        y, cache = layer.step(piece, places, cache, **more)
        parts.append(y)
    assert cache is not None
    return torch.cat(parts, dim=1), cache


@pytest.mark.parametrize("sizes", [[1] * 6, [2, 1, 3], [6]])
@pytest.mark.parametrize("path", ["auto", "naive", "augmented"])
@torch.no_grad()
def test_steps_equal_the_whole(sizes: list[int], path: Any) -> None:
    case = Case(n_segments=6, absent=True)
    layer, tables = case.build()
    layer.path = path
    x, places, present = case.tokens(), case.places(tables), case.present()
    y, cache = stream(layer, x, places, sizes, present=present)
    torch.testing.assert_close(y, layer(x, places, present))
    assert cache.key.shape[2] == 5


@torch.no_grad()
def test_steps_equal_the_whole_with_a_content_window() -> None:
    case = Case(n_segments=6, window=2)
    layer, tables = case.build()
    x, places = case.tokens(), case.places(tables)
    torch.testing.assert_close(stream(layer, x, places, [1, 2, 3])[0], layer(x, places))


@pytest.mark.parametrize("sizes", [[1] * 9, [4, 5], [9]])
@pytest.mark.parametrize("path", ["auto", "naive", "augmented"])
@torch.no_grad()
def test_a_long_stream_is_attended_to_in_a_sliding_window(sizes: list[int], path: Any) -> None:
    case = Case(n_segments=9)
    layer, tables = case.build()
    layer.path = path
    x, places = case.tokens(), tables(4, 3)
    y, cache = stream(layer, x, places, sizes)
    for t in range(9):
        torch.testing.assert_close(y[:, t], layer(x[:, max(0, t - 3) : t + 1], places)[:, -1])
    assert cache.value.shape[2] == 3


def refused(kind: type[NeurodecodeError], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_more_than_the_tables_hold_is_refused() -> None:
    tables = RelativeTables(4, max_segments=5, max_chans=6)
    assert "6 segments is longer than the 5" in refused(SignalError, lambda: tables(6, 2))
    assert "7 channels are more than the 6" in refused(SignalError, lambda: tables(2, 7))
    RelativeTables(4, max_chans=6, geometry="position")(2, 7, torch.zeros(7, 3))


def test_positions_are_asked_for() -> None:
    tables = RelativeTables(4, geometry="position")
    assert "was given none" in refused(SignalError, lambda: tables(2, 7))
    assert "(6, 3)" in refused(SignalError, lambda: tables(2, 7, torch.zeros(6, 3)))


def test_options_that_contradict_each_other_are_refused() -> None:
    refused(ConfigError, lambda: RelativeTables(4, indexing="tail", geometry="position"))
    for heads in ((3, 1), (4, 3), (0, 1), (4, 0)):
        refused(ConfigError, lambda h=heads: ParallelAttention(8, n_heads=h[0], n_kv_heads=h[1]))
    refused(ConfigError, lambda: Case(window=-1).build())


def test_input_of_another_shape_is_refused() -> None:
    case = Case()
    layer, tables = case.build()
    x = case.tokens()
    assert "4 segments" in refused(SignalError, lambda: layer(x, tables(3, 3)))
    assert "3 channels" in refused(SignalError, lambda: layer(x, tables(4, 5)))
    _, cache = layer.step(x, tables(4, 3), None)
    assert "cache" in refused(SignalError, lambda: layer.step(x[:1], tables(4, 3), cache))


@pytest.mark.parametrize(
    ("case", "path", "word"),
    [(Case(window=1), "augmented", "content_window=1"), (Case(), "flex", "gradients")],
)
def test_a_path_refuses_what_it_cannot_do(case: Case, path: Any, word: str) -> None:
    assert word in refused(ConfigError, lambda: run(case, path))


def test_the_published_rule_of_the_last_segment_cannot_be_streamed() -> None:
    case = Case(n_segments=4, window=1, last=True)
    layer, tables = case.build()
    x = case.tokens()
    assert "last" in refused(ConfigError, lambda: layer.step(x, tables(4, 3), None))
    layer.step(x, tables(2, 3), None)  # nothing is ever out of the window
