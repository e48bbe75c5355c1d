"""The name of a model comes in; the folder that holds it, and what tells it from every other model, go out.

Weights are safetensors and nothing else: pickles can run code, and so can what a folder calls `remote code`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tradearena.errors import UsageError

NEEDED = 'where TradeArena is installed from, type: python -m pip install -e ".[whitebox]"'

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Any of them holds the vocabulary of a tokenizer."""

_BESIDE = (
    *_TOKENIZERS,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk: its name (of the folder, or as the hub has it), its folder, and the SHA-256 over configuration,
    weights and tokenizer. Two folders with the same files hold the same model, whatever they are called."""

    name: str
    folder: Path
    sha256: str


def located(name: str) -> Checkpoint:
    """Find a model: a folder, or `organisation/name` for one of the hub, which is fetched if it is not there yet.
    What is there as a folder is never looked for anywhere else.

    Raises:
        UsageError: there is none, it cannot be fetched, or its folder lacks configuration, safetensors or tokenizer.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        folder, called = path, path.resolve().name
    elif _HUB.fullmatch(name):
        folder, called = _fetched(name), name
    else:
        said = "write the path of a folder that holds a model, or organisation/name for one of the hub"
        raise UsageError(f"{name or 'local:'}: no such folder; {said}")
    files = [_there(folder, "config.json", "no model: there is no config.json"), *_weights(folder)]
    if not any((folder / each).is_file() for each in _TOKENIZERS):
        said = "a model without a tokenizer reads no text; save one there with tokenizer.save_pretrained"
        raise UsageError(f"{folder}: there is no {_TOKENIZERS[0]}: {said}")
    if (folder / "adapter_config.json").exists():
        raise UsageError(f"{folder}: holds an adapter; merge it into its model, and save that with save_pretrained")
    files += [path for each in _BESIDE if (path := folder / each).is_file()]
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda each: each.name):
        status = path.stat()
        whole.update(path.name.encode() + b"\0" + _digest(path, status.st_size, status.st_mtime_ns))
    return Checkpoint(called, folder, whole.hexdigest())


def _weights(folder: Path) -> list[Path]:
    """The files of weights that transformers reads."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if not (folder / _INDEX).is_file():
        pickled = next(folder.glob("*.bin"), None)
        found = f"{pickled.name} can run code when it is read, and there is" if pickled else "there is"
        raise UsageError(f"{folder}: {found} no {_WEIGHTS}; save the model there with save_pretrained")
    try:
        named = sorted({str(each) for each in json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UsageError(f"{folder / _INDEX}: cannot be understood; save the model again") from None
    parts = [_there(folder, each, f"{each} of its weights is missing") for each in named]
    return [*parts, folder / _INDEX]


def _there(folder: Path, name: str, otherwise: str) -> Path:
    if not (folder / name).is_file():
        raise UsageError(f"{folder}: {otherwise}; save the model there with save_pretrained")
    return folder / name


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> bytes:  # noqa: ARG001  a file that changed is read again
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _fetched(name: str) -> Path:
    """The folder in which the hub's files of a model are kept."""
    libraries(name)
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*/*", "consolidated*"]))
    except Exception as error:  # whatever a network and a service raise
        said = f"no such folder, and the hub does not give it ({brief(error)})"
        raise UsageError(f"{name}: {said}; write the path of a folder that holds a model") from None


def libraries(name: str) -> tuple[Any, Any]:
    """torch and transformers.

    Raises:
        UsageError: they are not installed.
    """
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            import transformers
    except ImportError as error:
        missing = (error.name or "torch").partition(".")[0]
        raise UsageError(f"{name}: a model in this process needs the library {missing}; {NEEDED}") from None
    return torch, transformers


def device_of(checkpoint: Checkpoint, asked: str | None = None) -> Any:
    """Where a model is to run: on the GPU if there is one, unless another device of torch is asked for.

    Raises:
        UsageError: torch is not installed, or has no such device here.
    """
    torch, _ = libraries(checkpoint.name)
    try:
        device = torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device)
    except Exception as error:  # RuntimeError or AssertionError, after the build of torch
        raise UsageError(f"{checkpoint.name}: torch has no device '{asked}' here: {brief(error)}") from None
    return device


def depth_of(checkpoint: Checkpoint) -> int:
    """Number of blocks of a model, from its configuration.

    Raises:
        UsageError: it cannot be read.
    """
    _, transformers = libraries(checkpoint.name)
    try:
        config = transformers.AutoConfig.from_pretrained(
            str(checkpoint.folder), local_files_only=True, trust_remote_code=False
        )
        return int(config.get_text_config().num_hidden_layers)
    except Exception as error:  # whatever a library that reads everything raises
        raise UsageError(f"{checkpoint.name}: its config.json is of no model known here: {brief(error)}") from None


def brief(error: Exception) -> str:
    """What went wrong, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
