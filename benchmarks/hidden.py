"""Texts per second through the probe `hidden`, beside a bare loop over the same model: a GPT of about 110 million
random parameters and a tokenizer, both made on the spot, read N texts of mixed length.

    python benchmarks/hidden.py [--texts N] [--device cuda] [--rounds 5] [--precision bfloat16]

It takes torch, transformers, tokenizers and this repository on PYTHONPATH, and no network. The bare loop is handed
tokens and batches that are ready, runs all blocks without the head, and pools the last state. The probe is handed
texts: it cuts them into tokens, sorts, pads, runs and pools. In the last layer both do the same work; in the middle
one, the default, the probe leaves out the blocks behind it.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from tradearena.agents.causal import TOKENS, Causal, batches
from tradearena.analysis.signatures.hidden import HiddenProbe
from tradearena.analysis.signatures.trace import Said

BLOCKS, WIDTH, HEADS, WORDS, CONTEXT = 12, 768, 12, 32_000, 1_024

PROMPT, RATIONALE = (30, 500), (15, 120)
"""Fewest and most words of each."""


def main() -> None:
    """Make the model, time both, print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--texts", type=int)
    asked.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked.add_argument("--rounds", type=int)
    asked.add_argument("--precision", default="float32", choices=("float32", "bfloat16", "float16"))
    given = asked.parse_args()
    gpu = given.device.startswith("cuda")
    said = texts(given.texts or (4_096 if gpu else 6))
    rounds = given.rounds or (5 if gpu else 1)
    with tempfile.TemporaryDirectory() as folder:
        parameters = build(Path(folder))
        last, middle = (
            HiddenProbe(folder, layer, device=given.device, precision=given.precision) for layer in (-1, None)
        )
        model = last.model
        ready = batched(model, said)
        ways: dict[str, Callable[[], Any]] = {
            "bare loop": lambda: bare(model, ready, len(said)),
            f"probe, layer {last.layer}": lambda: last.embed([said], [None])[0],
            f"probe, layer {middle.layer}": lambda: middle.embed([said], [None])[0],
        }
        found = {name: way() for name, way in ways.items()}  # warm
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds[name].append(timed(way))
    where = torch.cuda.get_device_name() if gpu else f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} cores"
    tokens = sum(int(mask.sum()) for _, _, mask, _ in ready)
    print(f"{where}; torch {torch.__version__}; {parameters / 1e6:.0f} million parameters, {model.model.dtype}")
    print(f"{len(said)} texts, {tokens} tokens, {len(ready)} batches, {last.cut} texts cut; best of {rounds}")
    usual = min(seconds["bare loop"])
    for name, times in seconds.items():
        best = min(times)
        print(f"{name:<18}{len(said) / best:10.1f} texts/s {tokens / best:12.0f} tokens/s   {usual / best:5.2f}")
    bare_loop, probe, _ = found.values()
    apart = float(np.abs(bare_loop - probe).max() / np.abs(bare_loop).max())
    print(f"largest difference of the vectors of layer {last.layer}: {apart:.1e} of the largest number")
    sys.exit(0 if usual / min(seconds[f"probe, layer {last.layer}"]) >= 0.5 else 1)


def texts(count: int) -> list[Said]:
    """Invented words, the first ones more often; each text after a prompt."""
    dice = random.Random(1)
    known = ["".join(dice.choices("etaoinshrdlucmfwypvbgk", k=dice.randint(2, 9))) for _ in range(20_000)]
    often = [1 / (place + 10) for place in range(len(known))]

    def words(fewest: int, most: int) -> str:
        return " ".join(dice.choices(known, often, k=dice.randint(fewest, most)))

    return [Said(words(*RATIONALE), words(*PROMPT)) for _ in range(count)]


def build(folder: Path) -> int:
    """Save a GPT with random weights, and a tokenizer; returns how many parameters it has."""
    cutter = Tokenizer(models.BPE())
    cutter.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    cutter.decoder = decoders.ByteLevel()
    learned = trainers.BpeTrainer(vocab_size=WORDS, special_tokens=["<s>"], show_progress=False)
    cutter.train_from_iterator((f"{each.prompt} {each.text}" for each in texts(1_000)), learned)
    PreTrainedTokenizerFast(tokenizer_object=cutter, bos_token="<s>", eos_token="<s>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"n_layer": BLOCKS, "n_embd": WIDTH, "n_head": HEADS, "vocab_size": WORDS, "n_positions": CONTEXT}
    model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0))
    disable_progress_bar()
    model.save_pretrained(folder)
    return model.num_parameters()


def batched(model: Causal, said: list[Said]) -> list[tuple[list[int], Any, Any, Any]]:
    """Places, tokens, mask, and share of each token in the mean, on the device."""
    encoded = model.encoded([(each.prompt, each.text) for each in said])
    found = []
    for places in batches([len(each.ids) for each in encoded], TOKENS.get(model.device.type, TOKENS["cpu"])):
        batch = [encoded[place] for place in places]
        longest = max(len(each.ids) for each in batch)
        ids, mask, share = np.zeros((3, len(batch), longest))
        for row, each in enumerate(batch):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
            share[row, len(each.ids) - each.span : len(each.ids)] = 1 / each.span
        on = [torch.tensor(part, device=model.device) for part in (ids.astype(int), mask.astype(int), share)]
        found.append((places, on[0], on[1], on[2].float()))
    return found


def bare(model: Causal, ready: list[tuple[list[int], Any, Any, Any]], count: int) -> Any:
    """[K, H] by the loop that everybody writes."""
    vectors = np.zeros((count, WIDTH))
    with torch.inference_mode():
        rows = []
        for _, ids, mask, share in ready:
            states = model.model.transformer(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            rows.append((states.float() * share[:, :, None]).sum(dim=1))
        vectors[[place for places, *_ in ready for place in places]] = torch.cat(rows).cpu().numpy()
    return vectors


def timed(way: Callable[[], Any]) -> float:
    """Seconds."""
    began = time.perf_counter()
    way()  # what it gives lies in main memory: the device is done
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
