"""A causal language model that runs in this process: texts come in, hidden states of a layer go out."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tradearena.agents.checkpoint import Checkpoint, brief, device_of, libraries
from tradearena.agents.layers import Layers, layer_of
from tradearena.agents.messages import Messages
from tradearena.errors import UsageError
from tradearena.panel import Array

Pool: TypeAlias = Literal["mean", "last"]
"""Of the states of a text's tokens: their mean, or that of its last token, which has seen all others."""

Precision: TypeAlias = Literal["float32", "bfloat16", "float16", "auto"]
"""Of a model's numbers: auto is that of its files. In float32, which is usual here, a state is the same on every
processor and in every batch but for its last digits; in the others it differs in the third."""

TOKENS = {"cuda": 32_768, "cpu": 4_096}
"""Tokens of a batch, padding among them: as many as keep a processor busy, and leave room for the model."""

CHUNK = 1_024
"""Texts that are cut into tokens at once, while a GPU computes the ones before."""


class Reading(NamedTuple):
    """[K, H] a vector for each text, zeros where it is empty; and how many texts did not fit into the context and were
    read without their beginning."""

    vectors: Array
    cut: int


class Causal:
    """A model in memory.

    Attributes:
        layers: what stands between its blocks, `width` numbers for each token.
        context: most tokens it can read at once, None where there is no such limit.
        ends: tokens after which it has nothing more to say.
        lock: one at a time.
    """

    def __init__(self, checkpoint: Checkpoint, device: str | None = None, precision: Precision = "float32") -> None:
        """Load it, on the GPU if there is one.

        Raises:
            UsageError: the extra is not installed, or transformers cannot load the model.
        """
        self.checkpoint, self.lock = checkpoint, threading.Lock()
        self.torch, transformers = libraries(checkpoint.name)
        self._version = str(transformers.__version__)
        self.device = device_of(checkpoint, device)
        self.tokenizer, self.model = self._loaded(transformers, precision)
        self.layers = Layers(self.torch, self.model)
        config = self.model.config.get_text_config()
        lengths = (getattr(config, "max_position_embeddings", None), self.tokenizer.model_max_length)
        self.context = min((int(each) for each in lengths if each and 0 < each < 10**9), default=None)
        bos = self.tokenizer.bos_token_id
        self.begin: list[int] = [] if bos is None else [bos]
        self.width = int(config.hidden_size)
        known = (self.tokenizer.eos_token_id, getattr(self.model.generation_config, "eos_token_id", None))
        self.ends = {each for some in known for each in (some if isinstance(some, list) else [some])}

    def _loaded(self, transformers: Any, precision: Precision) -> tuple[Any, Any]:
        """Tokenizer and model: nothing is fetched, and no code of theirs is run."""
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        name, folder = self.checkpoint.name, str(self.checkpoint.folder)
        only: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **only)
                model, info = transformers.AutoModelForCausalLM.from_pretrained(
                    folder, **only, use_safetensors=True, dtype=precision, output_loading_info=True
                )
                model = model.to(self.device).eval()
        except Exception as error:  # whatever a library that loads everything raises
            raise UsageError(f"{name}: transformers cannot load it from {folder}: {brief(error)}") from None
        if missing := sorted(info["missing_keys"]):
            said = f"{len(missing)} of its weights are not in the file, {missing[0]} the first"
            raise UsageError(f"{name}: {said}; they would be made up; save the whole causal model in {folder}")
        return tokenizer, model

    def layer(self, asked: int | None) -> int:
        """As `layer_of`."""
        return layer_of(asked, self.layers.depth, self.checkpoint.name)

    @property
    def versions(self) -> dict[str, str]:
        """What the last bits of its numbers depend on."""
        gpu = self.device.type == "cuda"
        where = str(self.torch.cuda.get_device_name(self.device)) if gpu else str(self.device)
        dtype = str(self.model.dtype).removeprefix("torch.")
        return {"torch": self.torch.__version__, "transformers": self._version, "device": where, "dtype": dtype}

    # ------------------------------------------------------------------ reading

    def read(
        self, said: Sequence[tuple[str, str]], layer: int, pool: Pool = "mean", tokens: int | None = None
    ) -> Reading:
        """The states of texts, each after a prompt: pooled over the tokens of the text, not of the prompt.

        The model reads its first token (where the tokenizer has one, so that no word stands where all attention sinks),
        the prompt, an empty line, the text. What is beyond its context is cut on the left.

        Args:
            said: prompt and text of each; a prompt may be empty.
            tokens: of a batch, with padding; more than that where one text is longer.
        """
        torch, most = self.torch, tokens or TOKENS.get(self.device.type, TOKENS["cpu"])
        places = [place for place, (_, text) in enumerate(said) if text.strip()]
        places.sort(key=lambda place: -sum(map(len, said[place])))
        order: list[int] = []
        found: list[Any] = []
        cut = 0
        with self.lock, torch.inference_mode():
            for at in range(0, len(places), CHUNK):
                chunk = places[at : at + CHUNK]
                encoded = self.encoded([said[place] for place in chunk])
                cut += sum(each.cut for each in encoded)
                for batch in batches([len(each.ids) if each.span else 0 for each in encoded], most):
                    order += [chunk[place] for place in batch]
                    found.append(self._pooled([encoded[place] for place in batch], layer, pool))
            vectors = np.zeros((len(said), found[0].shape[1] if found else self.width))
            if found:
                vectors[order] = torch.cat(found).cpu().numpy()
        return Reading(vectors, cut)

    def encoded(self, said: Sequence[tuple[str, str]]) -> list[Encoded]:
        """The tokens of each prompt and its text, as far as they fit."""
        prompts = self.tokens([f"{prompt}\n\n" if prompt else "" for prompt, _ in said])
        texts = self.tokens([text for _, text in said])
        return [self._fitted(*each) for each in zip(prompts, texts, strict=True)]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, none added."""
        found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without those that are none."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _fitted(self, prompt: list[int], text: list[int]) -> Encoded:
        room = len(prompt) + len(text) if self.context is None else self.context - len(self.begin)
        kept = [*prompt, *text][-room:]
        ids = [*self.begin, *kept]
        return Encoded(ids, min(len(text), len(kept)), cut=len(prompt) + len(text) > room)

    def _pooled(self, batch: Sequence[Encoded], layer: int, pool: Pool) -> Any:
        """[B, H] float32, on the device: nobody waits for it here."""
        torch = self.torch
        ends = torch.tensor([len(each.ids) for each in batch])
        longest = int(ends.max())
        ids = torch.tensor([each.ids + [0] * (longest - len(each.ids)) for each in batch])
        begins = ends - torch.tensor([each.span for each in batch])
        ids, begins, ends = (self._moved(each) for each in (ids, begins[:, None], ends[:, None]))
        place = torch.arange(longest, device=self.device)[None]
        mask = (place < ends).long()
        inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        _, heard = self.layers.hear(self.layers.base, [layer], only=True, **inputs)
        states = heard[layer]
        if pool == "last":
            return states[torch.arange(len(batch), device=self.device), ends[:, 0] - 1].float()
        counted = ((place >= begins) & (place < ends)).float()
        return torch.einsum("bt,bth->bh", counted / counted.sum(dim=1, keepdim=True), states.float())

    def _moved(self, values: Any) -> Any:
        """To the device, without waiting for what computes there."""
        if self.device.type != "cuda":
            return values.to(self.device)
        return values.pin_memory().to(self.device, non_blocking=True)

    # ------------------------------------------------------------------ being spoken to

    def room(self, written: int) -> int | None:
        """Most tokens of a prompt that leave room for so many written ones; None where there is no limit.

        Raises:
            UsageError: there is no room for a prompt.
        """
        if self.context is not None and self.context <= written:
            said = f"reads {self.context} tokens at once, and max_tokens = {written} leaves none for a prompt"
            raise UsageError(f"{self.checkpoint.name}: {said}; lower it on a card of kind local")
        return None if self.context is None else self.context - written

    def prompt(self, messages: Messages) -> list[int]:
        """The tokens of a conversation that waits for a reply: in the form its tokenizer has for chats, else one text
        after the other with an empty line between."""
        if self.tokenizer.chat_template is None:
            text = "".join(f"{message['content']}\n\n" for message in messages)
            return [*self.begin, *self.tokens([text])[0]]
        return self.tokens([self._chat(messages)])[0]

    def _chat(self, messages: Messages) -> str:
        """A conversation as one text. Some models know no system text: then it begins the first prompt."""
        said = {"add_generation_prompt": True, "tokenize": False}
        system, first, *rest = messages
        joined: Messages = [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]
        for each in (messages, joined):
            try:
                return str(self.tokenizer.apply_chat_template(each, **said))
            except Exception as error:  # what a template raises is its own affair
                wrong = error
        raise UsageError(f"{self.checkpoint.name}: its chat template cannot be filled in: {brief(wrong)}")

    @property
    def sparing(self) -> dict[str, int]:
        """Asks for the logits of the last token alone, where the model can be asked for that."""
        known = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        return {"logits_to_keep": 1} if known else {}


class Encoded(NamedTuple):
    """Tokens that a model is to read; the last `span` of them are the text's. `cut`: there were more."""

    ids: list[int]
    span: int
    cut: bool


def batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of texts that are read together, alike in length, so that there is little padding; none of length 0."""
    batch: list[int] = []
    for place in sorted((place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@lru_cache(maxsize=1)
def opened(checkpoint: Checkpoint, device: str | None = None, precision: Precision = "float32") -> Causal:
    """The model in memory; several who ask for the same one after the other share it.

    Raises:
        UsageError: as `Causal`.
    """
    return Causal(checkpoint, device, precision)
