"""Pre-norm transformer layers.

Reference: "On layer normalization in the transformer architecture", ICML 2020, arXiv 2002.04745;
criss-cross attention as in CBraMod, ICLR 2025, arXiv 2412.07236.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.nn.dropout import Dropout
from neurodecode.nn.dropout import dropout as drop
from neurodecode.nn.eager import is_eager

FEW = 64  # tokens, whose attention may be in memory


class TransformerLayer(nn.Module):
    """Self-attention, then a feed-forward network; each after a layer norm, each added back.

    Parameters
    ----------
    width
        Features of a token; a multiple of `n_heads`.
    n_heads
        Attention heads.
    expansion
        Hidden features of the feed-forward network, in widths.
    dropout
        Probability of dropping an attention weight, a hidden feature or an output, in [0, 1).
    attention_dropout
        The same for attention weights alone; by default `dropout`. With 0, they are never all in
        memory, which trains 2 to 4 times faster with hundreds of tokens.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int,
        expansion: int = 4,
        dropout: float = 0.0,
        attention_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_dropout = attention_dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(expansion * width, width),
        )
        self.dropout = Dropout(dropout)

    def attend(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Each token's mixture of the tokens that are there, (batch, n_tokens, width)."""
        batch, n_tokens, width = x.shape
        x = self.query_key_value(x).view(batch, n_tokens, 3, self.n_heads, -1)
        x = self._mix(x.permute(2, 0, 3, 1, 4), present)
        mixed: Tensor = self.output(x.transpose(1, 2).reshape(batch, n_tokens, width))
        return mixed

    def _mix(self, query_key_value: Tensor, present: Tensor | None) -> Tensor:
        """Attention of (3, batch, n_heads, n_tokens, width / n_heads), without the first axis."""
        q, k, v = query_key_value.contiguous().unbind()
        if present is not None:
            # A row with nothing to attend to would be NaN; what it gives is used by no one.
            present = (present | ~present.any(dim=1, keepdim=True))[:, None, None]
        p = self.dropout.p if self.attention_dropout is None else self.attention_dropout
        p = p if self.training else 0.0
        # Torch's dropout draws 64 bits for a pair of tokens; vmap has no rule for its kernel.
        if q.device.type == "cpu" and (p > 0 if is_eager(q) else q.shape[2] <= FEW):
            scores = (q / q.shape[-1] ** 0.5) @ k.mT
            if present is not None:
                scores = scores.masked_fill(~present, -torch.inf)
            return drop(scores.softmax(dim=-1), p, training=self.training) @ v
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=present, dropout_p=p)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Tokens (batch, n_tokens, width); same shape.

        Those that are not in `present` (batch, n_tokens), bool, are attended to by none.
        """
        x = x + self.dropout(self.attend(self.attention_norm(x), present))
        tokens: Tensor = x + self.dropout(self.feedforward(x))
        return tokens


class CrissCrossLayer(TransformerLayer):
    """Half of the heads attend along time in a channel, half along channels at a time.

    Tokens are (batch, n_segments, n_chans, width), `present` is (batch, n_chans). With T segments
    and C channels, attention costs T²C + TC² instead of T²C². It has the same parameters as
    `TransformerLayer`.

    Raises
    ------
    ConfigError
        If the number of heads is odd.
    """

    def __init__(self, width: int, *, n_heads: int, **options: Any) -> None:
        if n_heads % 2:
            raise ConfigError(
                f"Criss-cross attention halves its heads, and {n_heads} is odd. Choose an even "
                f"n_heads, or attention = 'joint'."
            )
        super().__init__(width, n_heads=n_heads, **options)

    def attend(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Each token's mixture of its row and of its column, (batch, T, C, width)."""
        batch, n_segments, n_chans, width = x.shape
        halves = self.query_key_value(x)
        halves = halves.view(batch, n_segments, n_chans, 3, 2, self.n_heads // 2, -1)
        in_time, in_space = halves.unbind(4)  #          (batch, T, C, 3, heads, features)
        # An absent channel attends to itself along time, and no other channel does.
        along = self._mix(in_time.permute(3, 0, 2, 4, 1, 5).flatten(1, 2), None)
        if present is not None:
            present = present.repeat_interleave(n_segments, dim=0)
        across = self._mix(in_space.permute(3, 0, 1, 4, 2, 5).flatten(1, 2), present)
        along = along.reshape(batch, n_chans, *along.shape[1:]).permute(0, 3, 1, 2, 4)
        across = across.reshape(batch, n_segments, *across.shape[1:]).transpose(2, 3)
        mixed: Tensor = self.output(torch.cat([along, across], dim=3).flatten(3))
        return mixed
