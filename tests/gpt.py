"""Small causal models, made on the spot: one with random weights, and one whose weights are made to say something.

Only tests marked `whitebox` use them: torch and transformers are extras, imported where they are needed.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

MARK = "<reply>"
"""A token that ends every prompt."""

CHAT = "{% for m in messages %}{{ m['content'] }}\n\n{% endfor %}{% if add_generation_prompt %}" + MARK + "{% endif %}"

REPLY = (
    ('{"rationale": "',), ("The ",), ("calm", "busy"), (" names",), (" are held.",), ('", ',), ('"target_weights": ',),
    ('{"S0": 0.5, ',), ('"S1": 0.3}',), (", ",), ('"confidence": ',), ("0.7",), ("}",), (" Ask me more.",),
)  # fmt: skip
"""What it says, piece by piece, each a token; of two alternatives temperature decides. It goes on after its end."""

SAID = [json.loads("".join(p[min(i, len(p) - 1)] for p in REPLY[:-1]))["rationale"] for i in (0, 1)]
"""The two rationales that come of it."""


def random_gpt(folder: Path, *, seed: int = 0, positions: int = 256, blocks: int = 3, **more: Any) -> Path:
    """A GPT-2 that says nothing sensible, in a folder."""
    cutter = _cutter(folder, chat=False)
    _model(cutter, seed=seed, positions=positions, blocks=blocks, **more).save_pretrained(folder)
    return folder


def speaking_gpt(folder: Path, *, positions: int = 2048, reply: tuple[tuple[str, ...], ...] = REPLY) -> Path:
    """A GPT-2 that answers whatever ends with `MARK` by `reply`. Its head is made so that each piece calls for the
    next; its blocks are random: what goes on inside it depends on all it has read."""
    import torch

    cutter = _cutter(folder, reply, chat=True)
    model = _model(cutter, seed=1, positions=positions, blocks=3, tie_word_embeddings=False)
    pieces = [(MARK,), *reply, (cutter.eos_token,)]
    with torch.no_grad():
        words = model.transformer.wte.weight
        words.copy_(torch.nn.functional.normalize(words, dim=1) * 3.0)
        model.lm_head.weight.zero_()
        for before, after in pairwise(pieces):
            for one in cutter.convert_tokens_to_ids(list(before)):
                for other in cutter.convert_tokens_to_ids(list(after)):
                    model.lm_head.weight[other] += words[one]
    model.save_pretrained(folder)
    return folder


def _cutter(folder: Path, reply: tuple[tuple[str, ...], ...] = (), *, chat: bool) -> Any:
    """A tokenizer of bytes, with a token for each piece of the reply."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytewise = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    bytewise.add_special_tokens(["<s>", "</s>", MARK])
    bytewise.add_tokens([AddedToken(piece, normalized=False) for each in reply for piece in each])
    cutter = PreTrainedTokenizerFast(tokenizer_object=bytewise, bos_token="<s>", eos_token="</s>")
    if chat:
        cutter.chat_template = CHAT
    cutter.save_pretrained(folder)
    return cutter


def _model(cutter: Any, *, seed: int, positions: int, blocks: int, **more: Any) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)  # of models this small, threads would wait for each other longer than they compute
    torch.manual_seed(seed)
    shape = {"n_layer": blocks, "n_head": 2, "n_embd": 48, "n_positions": positions, "vocab_size": len(cutter)}
    ends = {"bos_token_id": cutter.bos_token_id, "eos_token_id": cutter.eos_token_id}
    return GPT2LMHeadModel(GPT2Config(**shape, **ends, **more)).eval()
