"""A probe that understands what is said: texts come in, the vectors of a sentence-transformers model go out.

Any model that the library loads, from a folder or the hub. No code that comes with a model is run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from tradearena.analysis.signatures.probe import Corpus
from tradearena.analysis.signatures.weights import first_line, weights_of
from tradearena.errors import UsageError
from tradearena.panel import Array

BATCH = 32
"""Texts that go through a model together."""

NEEDED = (
    "the library sentence-transformers; where TradeArena is installed from, type: "
    'python -m pip install -e ".[transformer]"'
)


class TransformerProbe:
    """A sentence-transformers model, or any encoder, of whose tokens it then takes the mean. Rows are as the model
    gives them, in single precision; of a text longer than it reads, those of its beginning.

    Attributes:
        name: `transformer:NAME`, as asked for.
        identity: what the vectors depend on, for a cache: kind and weights.
        prompted: no.
    """

    prompted = False
    common = True

    def __init__(self, model: str, device: str | None = None) -> None:
        """`device` as torch names it; the first GPU where there is one, else the CPU.

        Raises:
            UsageError: the library or the model is missing, or its weights are not in safetensors.
        """
        if importlib.util.find_spec("sentence_transformers") is None:
            raise UsageError(f"transformer:{model} needs {NEEDED}")
        self._weights, self._device = weights_of(model), device
        self.name = f"transformer:{model}"
        self.identity = f"transformer {self._weights.identity}"

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:  # noqa: ARG002
        """[K, d] for each trajectory; the paths make no difference. A text is read once, however often it was said, and
        the longest ones first, so that equal sets of texts make equal batches.

        Raises:
            UsageError: the model cannot be loaded, or gives no numbers.
        """
        texts = sorted({said.text for said in chain.from_iterable(corpora) if said.text.strip()}, key=_longest_first)
        read = self._read(texts or ["."])
        silent = len(read)
        rows = np.vstack((read, np.zeros_like(read[:1])))
        places = {text: i for i, text in enumerate(texts)}
        return [rows[[places.get(said.text, silent) for said in corpus]] for corpus in corpora]

    def _read(self, texts: list[str]) -> Array:
        """[n, d]."""
        try:
            rows = np.asarray(self._model.encode(texts, batch_size=BATCH, show_progress_bar=False), dtype=np.float64)
        except Exception as error:
            raise UsageError(f"{self.name}: the model cannot read texts: {first_line(error)}") from None
        if not np.isfinite(rows).all():
            raise UsageError(f"{self.name}: the model gives vectors that are not finite; its weights are damaged")
        return rows

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            model = SentenceTransformer(
                str(self._weights.folder),
                device=self._device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
            if getattr(model.tokenizer, "pad_token", "") is None:  # of one that was trained to go on, as GPT-2
                model.tokenizer.pad_token = model.tokenizer.eos_token or model.tokenizer.unk_token
            return model
        except Exception as error:  # its many ways of saying so
            raise UsageError(f"{self.name}: the model cannot be loaded: {first_line(error)}") from None
        finally:
            if shown:
                logging.enable_progress_bar()


def _longest_first(text: str) -> tuple[int, str]:
    return -len(text), text
