"""Where the weights of a model are: a folder or a name on the Hugging Face hub comes in; a folder, and what its content
is known by, go out. Only configurations, tokenizers and safetensors are taken: nothing in them is a program.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from tradearena.errors import UsageError

TAKEN = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Files that make a model, and all that is fetched of one."""


class Weights(NamedTuple):
    """A model on this disk.

    Attributes:
        folder: in which it is.
        identity: name and commit of one of the hub, else a SHA-256 over its files: the same for the same vectors, and
            without a path of this machine.
    """

    folder: Path
    identity: str


def weights_of(model: str) -> Weights:
    """The model in a folder, without a look at the network, or else that of the hub, fetched once.

    Raises:
        UsageError: there is none, or its weights are not in safetensors.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        _check(model, folder)
        return Weights(folder, f"sha256 {_digest(folder)}")
    if folder.exists() or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", model):
        raise UsageError(f"no model in '{model}': no such folder; name that of a model, or a name of the hub")
    found = _from_hub(model)
    _check(model, found.folder)
    return found


def _check(model: str, folder: Path) -> None:
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise UsageError(f"no model in '{model}': neither config.json nor modules.json is there")
    if not any(folder.rglob("*.safetensors")):
        said = "save it anew with safe_serialization=True"
        raise UsageError(f"the model '{model}' has no weights in safetensors, and no others are read; {said}")


def _digest(folder: Path) -> str:
    """Of names and contents, in order of the names."""
    files = {path.relative_to(folder).as_posix(): path for kind in TAKEN for path in folder.rglob(kind)}
    content = []
    for name, path in sorted(files.items()):
        try:
            with path.open("rb") as file:
                content.append([name, hashlib.file_digest(file, "sha256").hexdigest()])
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _from_hub(model: str) -> Weights:
    """What is in the cache of the hub's library already is not fetched again where the hub cannot be reached."""
    from huggingface_hub import snapshot_download

    name = model if "/" in model else f"sentence-transformers/{model}"
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(TAKEN)))
    except Exception as error:  # its many ways of saying so
        raise UsageError(f"no folder '{model}', and not to be had from the hub: {first_line(error)}") from None
    return Weights(folder, f"{name}@{folder.name}")


def first_line(error: Exception) -> str:
    """What a library said, of which it may have said more on further lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
