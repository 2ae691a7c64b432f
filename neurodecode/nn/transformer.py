"""Pre-norm transformer layer.

Reference: "On layer normalization in the transformer architecture", ICML 2020, arXiv 2002.04745.
"""

from torch import Tensor, nn
from torch.nn import functional


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
    """

    def __init__(
        self, width: int, *, n_heads: int, expansion: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(expansion * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor) -> Tensor:
        """Each token's mixture of all tokens, (batch, n_tokens, width)."""
        batch, n_tokens, width = x.shape
        x = self.query_key_value(x).view(batch, n_tokens, 3, self.n_heads, -1)
        q, k, v = x.permute(2, 0, 3, 1, 4)  #  each (batch, n_heads, n_tokens, width / n_heads)
        p = self.dropout.p if self.training else 0.0
        x = functional.scaled_dot_product_attention(q, k, v, dropout_p=p)
        mixed: Tensor = self.output(x.transpose(1, 2).reshape(batch, n_tokens, width))
        return mixed

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, n_tokens, width); same shape."""
        x = x + self.dropout(self.attend(self.attention_norm(x)))
        tokens: Tensor = x + self.dropout(self.feedforward(x))
        return tokens
