"""Models of a few thousand random weights, with a tokenizer trained on the spot, saved as real ones are."""

from __future__ import annotations

from pathlib import Path

TEXTS = [
    "Sell the bank, hold oil: the market turns and risk is high.",
    "We keep what we have.",
    "现在现金减少，卖出中国平安。",
    "Momentum is strong, so more of the same; " * 12,  # longer than the models read
    "hold",
]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def tokenizer(folder: Path, **special) -> int:
    """Train one, save it, and return how many tokens it knows."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL))
    fast = PreTrainedTokenizerFast(tokenizer_object=trained, model_max_length=32, unk_token="[UNK]", **special)
    fast.save_pretrained(folder)
    return len(fast)


def encoder(folder: Path, seed: int = 0) -> Path:
    """A BERT."""
    import torch
    from transformers import BertConfig, BertModel

    size = tokenizer(folder, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=size, max_position_embeddings=32, **shape)).save_pretrained(folder)
    return folder


def causal(folder: Path, seed: int = 0) -> Path:
    """A GPT-2, whose tokenizer, like that of the real one, has nothing to fill a batch with."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    size = tokenizer(folder, eos_token="[SEP]", bos_token="[CLS]")
    torch.manual_seed(seed)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    config = GPT2Config(vocab_size=size, bos_token_id=2, eos_token_id=3, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def sentence(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers model, `whole`: a BERT, also saved as `base`, the mean over its tokens, and of that the
    direction."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    base = Transformer(str(encoder(folder / "base", seed)))
    SentenceTransformer(modules=[base, Pooling(16, "mean"), Normalize()], device="cpu").save(str(folder / "whole"))
    return folder / "whole"
