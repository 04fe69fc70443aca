"""P-tuning's prompt encoder: virtual tokens that come of a small network while they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import PromptEncoder as PeftPromptEncoder
from peft import PromptEncoderConfig


class PromptEncoder(torch.nn.Module):
    """Virtual tokens, (count, width): embeddings of real tokens, and what PEFT's prompt encoder adds to them.

    P-tuning (Liu et al., 2021, https://arxiv.org/abs/2103.10385) with the residual connection of Razdaibiedina et al.
    (2023, https://arxiv.org/abs/2305.03937). The encoder adds nothing at first, so that training begins at the text
    that the tokens are taken from and not at noise.

    embeddings: of the base; tokens: ids of that text, cut or repeated to `count`
    """

    def __init__(self, embeddings: torch.nn.Embedding, tokens: Sequence[int], count: int) -> None:
        super().__init__()
        width = embeddings.embedding_dim
        config = PromptEncoderConfig(
            num_virtual_tokens=count, token_dim=width, num_transformer_submodules=1, encoder_hidden_size=width
        )
        self.encoder: Any = PeftPromptEncoder(config)
        last = self.encoder.mlp_head[-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        taken = torch.tensor([tokens[place % len(tokens)] for place in range(count)], device=embeddings.weight.device)
        self.register_buffer("start", embeddings.weight[taken].detach().float().clone())
        self.register_buffer("places", torch.arange(count))

    def forward(self) -> Any:
        return self.start + self.encoder(self.places)
