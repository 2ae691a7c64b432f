"""MVPFormer: a transformer that predicts what every channel does next.

Reference: "A foundation model with multi-variate parallel attention to generate neuronal activity",
ICLR 2026, arXiv 2506.20354. Written from its equations; sizes, losses and what the published
weights expect are those of the authors' code (IBM, Apache-2.0), which may be used for research
only and must not be used for diagnosis.

A token is a segment of one channel: its wavelet coefficients, scaled to a root mean square of 1,
through a linear map. Tokens attend to all channels of their own and of earlier segments
(`neurodecode.nn.parallel_attention`), so the net reads a recording forward in time and can go on
with it segment by segment.

Differences, all undone by ``published=True``: the gain that the scaling takes away comes back as
the logarithm of each segment's root mean square, because amplitude is much of what EEG says
(``amplitude``); distances in time and space are read by distance, not from the end of a table;
content is scored everywhere, so that a segment's output does not change when it stops being the
last; electrodes of known position are told apart by their distance, others by their place in the
array; coefficients are those of an orthogonal transform. Attention weights are not dropped out.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import BACKBONES, MODELS
from neurodecode.nn.contrast import draw_others, rank
from neurodecode.nn.foundation import Backbone, FoundationDecoder, Pool
from neurodecode.nn.parallel_attention import Cache, ParallelAttention, Places, RelativeTables
from neurodecode.nn.wavelet import WaveletTransform

Size = Literal["tiny", "small", "medium"]
Geometry = Literal["auto", "index", "position"]

MAX_SEGMENTS, MAX_CHANS = 110, 128  # rows of the published tables
CONTENT_WINDOW = 10  # segments, of the published net
EPS = 1e-5  # of every norm; in microvolts it is nothing, in volts it would be everything
USUAL = 20.0  # root mean square of EEG, microvolts, whose logarithm is called 0
FAINTEST = 0.01  # microvolts; a flat channel has no logarithm


class Dimensions(NamedTuple):
    """What a size means."""

    width: int
    depth: int
    n_heads: int
    n_kv_heads: int
    hidden: int
    sfreq: float  # Hz
    segment: float  # s


SIZES: dict[str, Dimensions] = {
    "tiny": Dimensions(128, 4, 4, 2, 288, 128.0, 1.0),
    "small": Dimensions(768, 12, 12, 4, 1728, 512.0, 5.0),
    "medium": Dimensions(2048, 24, 16, 8, 5632, 512.0, 5.0),
}
"""Tiny is ours, for two CPU cores; the others are published."""


class MVPFormerState(NamedTuple):
    """What the blocks remember of the segments so far."""

    caches: tuple[Cache, ...]


@BACKBONES.add("mvpformer")
class MVPFormerBackbone(Backbone):
    """Causal transformer over segments of every channel, pretrained by predicting the next ones.

    Parameters
    ----------
    size
        "tiny" (0.7 million parameters), or as published "small" (73 million) and "medium" (1.2
        billion).
    sfreq
        Sampling rate of what it takes, Hz; None for that of the size: 128, or 512 as published.
    segment
        Length of a token, seconds; None for that of the size: 1, or 5 as published.
    geometry
        How two channels are told apart: "index" by the difference of their places in the array, as
        published, for at most 128 channels; "position" by the distance between electrodes;
        "auto" by distance where both positions are known, and by index where one is not.
    amplitude
        Whether a token knows the amplitude of its segment; None for yes, unless ``published``.
    dropout
        Probability of dropping a feature of an embedding or of an attention's output, in [0, 1).
    published
        Build what the published weights were trained in.

    Raises
    ------
    ConfigError
        If a segment is shorter than a wavelet, or an option contradicts ``published``.
    """

    lora_targets = ("query", "value")

    def __init__(
        self,
        *,
        size: Size = "tiny",
        sfreq: float | None = None,
        segment: float | None = None,
        geometry: Geometry = "auto",
        amplitude: bool | None = None,
        dropout: float = 0.1,
        published: bool = False,
    ) -> None:
        super().__init__()
        if published and (geometry == "position" or amplitude):
            raise ConfigError(
                "The published net knows neither positions nor amplitudes: published=true goes "
                "with geometry='index' and amplitude=false. Leave those out."
            )
        if published:
            geometry, amplitude = "index", False
        d = SIZES[size]
        self.size, self.published, self.width = size, published, d.width
        self.sfreq = d.sfreq if sfreq is None else float(sfreq)
        self.n_segment = round((d.segment if segment is None else segment) * self.sfreq)
        if self.n_segment < 8:
            raise ConfigError(
                f"A segment of {self.n_segment} samples is shorter than a wavelet, 8. Choose a "
                f"longer segment, or a higher sfreq."
            )
        self.max_chans = None if geometry == "position" else MAX_CHANS
        self.coefficients = WaveletTransform(
            self.n_segment, boundary="padded" if published else "circular"
        )
        n_coefficients = self.coefficients.n_coefficients
        self.coefficients_norm = nn.RMSNorm(n_coefficients, eps=EPS)
        self.embed = nn.Linear(n_coefficients, d.width, bias=False)
        self.amplitude = None if amplitude is False else nn.Linear(1, d.width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.tables = _tables(d.width, geometry, published=published)
        self.blocks = nn.ModuleList(Block(d, dropout, published=published) for _ in range(d.depth))
        self.norm = nn.RMSNorm(d.width, eps=EPS)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        if self.amplitude is not None:
            # A decade of amplitude moves a token as far as all the coefficients together.
            nn.init.normal_(self.amplitude.weight, std=0.02 * math.sqrt(n_coefficients))

    def segments(self, x: Tensor) -> Tensor:
        """As for every backbone; refuses more segments than the net can tell apart, too."""
        segments = super().segments(x)
        if segments.shape[1] > MAX_SEGMENTS:
            raise SignalError(
                f"A window of {segments.shape[1]} segments of {self.n_segment / self.sfreq:g} s is "
                f"longer than the {MAX_SEGMENTS} that mvpformer tells apart. Cut shorter windows "
                f"(epochs.window), or choose longer segments."
            )
        return segments

    def embeddings(self, segments: Tensor) -> Tensor:
        """Tokens before they attend: (..., n_segment) microvolts to (..., width)."""
        tokens: Tensor = self.embed(self.coefficients_norm(self.coefficients(segments)))
        if self.amplitude is not None:
            rms = segments.square().mean(dim=-1, keepdim=True).sqrt()
            tokens = tokens + self.amplitude((rms.clamp(min=FAINTEST) / USUAL).log10())
        return tokens

    def attend(
        self, tokens: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Tokens after they attended, (batch, n_segments, n_chans, width), from `embeddings`."""
        places = self.tables(tokens.shape[1], tokens.shape[2], positions)
        x = self.dropout(tokens)
        for block in self.blocks:
            x = block(x, places, present)
        return self._finish(x, present)

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Tokens, (batch, n_segments, n_chans, width); see `Backbone.forward`.

        Raises
        ------
        SignalError
            If a window is shorter than a segment or longer than 110, if it has too many channels,
            or if ``geometry="position"`` and there are no positions.
        """
        return self.attend(self.embeddings(self.segments(x)), present, positions)

    def step(
        self,
        x: Tensor,
        state: MVPFormerState | None = None,
        present: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        memory: int = MAX_SEGMENTS,
    ) -> tuple[Tensor, MVPFormerState]:
        """Tokens of the next segment of a recording, (batch, 1, n_chans, width), and the state.

        The same as `forward` over all segments so far, until there are more than `memory`.

        Parameters
        ----------
        x
            A segment, (batch, n_chans, n_segment), microvolts.
        state
            From the segment before; None to begin.
        present, positions
            As for `forward`, and the same for all segments of a recording.
        memory
            Segments that a layer looks back on, this one included; as many as a window had in
            training, since more are distances never seen.

        Raises
        ------
        ConfigError
            In a published net: what it says of a segment changes with the segments after it.
        """
        if self.published:
            raise ConfigError(
                "The published net cannot go on segment by segment: there, a segment means "
                "something else once it is no longer the last. Give it whole windows."
            )
        n_seen = state.caches[0].key.shape[2] if state else 0
        # One row more than segments in sight: a layer keeps what the next segment will see.
        places = self.tables(min(n_seen + 2, memory, MAX_SEGMENTS), x.shape[1], positions)
        tokens, caches = self.dropout(self.embeddings(self.segments(x))), []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            tokens, cache = block.step(tokens, places, state.caches[i] if state else None, present)
            caches.append(cache)
        return self._finish(tokens, present), MVPFormerState(tuple(caches))

    def _finish(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        tokens = self.norm(tokens)
        if present is not None:
            tokens = tokens.masked_fill(~present[:, None, :, None], 0.0)
        return tokens

    def pretext(self) -> nn.Module:
        """Prediction of the next segment of each channel."""
        return NextSegment(self)


class Block(nn.Module):
    """Attention and a gated feed-forward network side by side, both of one norm."""

    def __init__(self, d: Dimensions, dropout: float, *, published: bool) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(d.width, eps=EPS)
        self.attention = ParallelAttention(
            d.width,
            n_heads=d.n_heads,
            n_kv_heads=d.n_kv_heads,
            content_window=CONTENT_WINDOW if published else None,
            last_sees_all=published,
            dropout=dropout,
        )
        self.gate = nn.Linear(d.width, d.hidden, bias=False)
        self.up = nn.Linear(d.width, d.hidden, bias=False)
        self.down = nn.Linear(d.hidden, d.width, bias=False)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """SwiGLU ("GLU variants improve transformer", 2020, arXiv 2002.05202)."""
        y: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return y

    def forward(self, x: Tensor, places: Places, present: Tensor | None) -> Tensor:
        """Tokens, (batch, n_segments, n_chans, width); same shape."""
        n: Tensor = self.norm(x)
        mixed: Tensor = self.attention(n, places, present)
        return x + mixed + self._feed_forward(n)

    def step(
        self, x: Tensor, places: Places, cache: Cache | None, present: Tensor | None
    ) -> tuple[Tensor, Cache]:
        """The same for the next segments of a recording, and what to remember."""
        n = self.norm(x)
        y, cache = self.attention.step(n, places, cache, present)
        return x + y + self._feed_forward(n), cache


class NextSegment(nn.Module):
    """Which token comes next in this channel, among 30 others of the batch?

    Outputs go through a linear map; the answer is the next segment's embedding, and the loss
    InfoNCE over cosines. Others are drawn from all channels, segments and windows of the batch.

    Parameters
    ----------
    backbone
        What is pretrained.
    n_others
        Wrong answers to each question.
    temperature
        Cosines are divided by it.
    """

    def __init__(
        self, backbone: MVPFormerBackbone, *, n_others: int = 30, temperature: float = 0.1
    ) -> None:
        super().__init__()
        self.backbone, self.n_others, self.temperature = backbone, n_others, temperature
        self.head = nn.Linear(backbone.width, backbone.width, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        positions: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Loss and diagnostics of windows, scalars.

        "loss" in nats; "accuracy", how often the answer is nearest among all that are offered;
        "copy_loss" and "copy_accuracy", the same where the last segment's embedding is taken for a
        prediction; "cos_next", "cos_next2" and "cos_random", mean cosines of predictions with the
        next segment, the one after it (NaN in windows of two), and the others.

        Parameters
        ----------
        x, present, positions
            As for the backbone; windows of at least two segments.
        generator
            Of the wrong answers; dropout draws from the global one.

        Raises
        ------
        SignalError
            If windows hold a single segment, or no window has a channel.
        """
        embeddings = self.backbone.embeddings(self.backbone.segments(x))
        batch, n_segments, n_chans, _ = embeddings.shape
        there = torch.ones(embeddings.shape[:3], dtype=torch.bool, device=x.device)
        if present is not None:
            there &= present[:, None]
        if n_segments < 2 or not there.any():
            raise SignalError(
                f"Windows of {n_segments} segment{'s' * (n_segments != 1)} and "
                f"{int(there.sum())} tokens have no next segment to predict. Cut windows of at "
                f"least {2 * self.backbone.n_segment / self.backbone.sfreq:g} s."
            )
        predicted: Tensor = self.head(self.backbone.attend(embeddings, present, positions))
        number = there.flatten().cumsum(0).view_as(there) - 1  # of each token among `tokens`
        tokens = embeddings[there]
        now, after = number[:, :-1][there[:, 1:]], number[:, 1:][there[:, 1:]]
        others = draw_others(after, len(tokens), self.n_others, generator)
        question = predicted[:, :-1][there[:, 1:]]
        own = rank(question, tokens, after, others, temperature=self.temperature)
        with torch.no_grad():
            copy = rank(
                tokens[now], tokens, after, others,
                temperature=self.temperature, skip_predicted=True,
            )  # fmt: skip
            later = functional.cosine_similarity(predicted[:, :-2], embeddings[:, 2:], dim=-1)
        return {
            "loss": own.loss,
            "accuracy": own.accuracy,
            "copy_loss": copy.loss,
            "copy_accuracy": copy.accuracy,
            "cos_next": own.right.detach(),
            "cos_next2": later[there[:, 2:]].mean(),
            "cos_random": own.wrong.detach(),
        }


class MixedTables(RelativeTables):
    """Pairs of channels by the distance of their electrodes, or else by their places in the array.

    Parameters
    ----------
    width
        Features of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, max_segments=MAX_SEGMENTS, geometry="position")
        self.n_knots = len(self.space) - 1  # the last row stands for unknown positions
        rows = self.n_knots + MAX_CHANS - 1
        self.space = nn.Parameter(0.02 * torch.randn(rows, width))

    def forward(self, n_segments: int, n_chans: int, positions: Tensor | None = None) -> Places:
        """Rows for a window of that shape; positions (..., n_chans, 3) m, NaN where unknown."""
        if positions is None:
            positions = self.space.new_full((n_chans, 3), torch.nan)
        known = super().forward(n_segments, n_chans, positions)
        near = known.weights[..., : self.n_knots, :]
        unknown = known.weights[..., self.n_knots :, :]  #   (..., n_chans, 1, n_chans)
        i = torch.arange(n_chans, device=positions.device)
        apart = torch.arange(1, n_chans, device=positions.device)
        by_index = ((i[:, None] - i).abs()[:, None] == apart[:, None]) * unknown
        return Places(
            time=known.time,
            space=self.space[: self.n_knots + n_chans - 1],
            weights=torch.cat([near, by_index], dim=-2),
        )


def _tables(width: int, geometry: Geometry, *, published: bool) -> RelativeTables:
    if geometry == "auto":
        return MixedTables(width)
    return RelativeTables(
        width,
        max_segments=MAX_SEGMENTS,
        max_chans=MAX_CHANS,
        indexing="tail" if published else "distance",
        geometry=geometry,
    )


@MODELS.add("mvpformer")
def mvpformer(
    spec: TaskSpec,
    *,
    size: Size = "tiny",
    sfreq: float | None = None,
    segment: float | None = None,
    geometry: Geometry = "auto",
    amplitude: bool | None = None,
    dropout: float = 0.1,
    published: bool = False,
    pool: Pool = "mean",
) -> FoundationDecoder:
    """MVPFormer with a linear head; pretrained by predicting the next segment of each channel.

    Parameters
    ----------
    spec
        What the data fixes.
    size, sfreq, segment, geometry, amplitude, dropout, published
        As for `MVPFormerBackbone`.
    pool
        What the head sees, see `FoundationDecoder`; "last" as published.

    Raises
    ------
    ConfigError
        If options contradict each other.
    SignalError
        If windows are too short or too long, have too many channels, or lack the positions that
        ``geometry="position"`` asks for.
    """
    if geometry == "position" and spec.positions is None:
        raise SignalError(
            "geometry='position' needs electrode positions, and these windows have none, or "
            "several montages. Give a montage, or leave geometry='auto'."
        )
    backbone = MVPFormerBackbone(
        size=size,
        sfreq=sfreq,
        segment=segment,
        geometry=geometry,
        amplitude=amplitude,
        dropout=dropout,
        published=published,
    )
    decoder = FoundationDecoder(backbone, spec, pool=pool)
    if geometry == "auto" and not published and not _all_known(spec):
        decoder.notice += (
            " mvpformer: electrodes without a position, or of several montages, are told apart by "
            "their place in the array."
        )
    return decoder


def _all_known(spec: TaskSpec) -> bool:
    return spec.positions is not None and all(map(math.isfinite, sum(spec.positions, ())))
