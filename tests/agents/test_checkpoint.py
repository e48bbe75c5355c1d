"""Where a model is and what tells it from every other: whatever is wrong with a folder is one sentence."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tradearena.agents.checkpoint import NEEDED, Checkpoint, libraries, located
from tradearena.errors import UsageError

FILES = {
    "config.json": '{"model_type": "gpt2"}', "model.safetensors": "weights", "tokenizer.json": "{}",
    "tokenizer_config.json": "{}", "merges.txt": "a b", "generation_config.json": "{}",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    """What a model looks like, seen from outside."""
    path = tmp_path / "mine"
    path.mkdir()
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


def refusal(name) -> str:
    with pytest.raises(UsageError) as caught:
        located(str(name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_named_by_its_last_part_and_known_by_what_it_holds(folder, tmp_path, monkeypatch):
    found = located(str(folder))
    assert (found.name, found.folder) == ("mine", folder)
    assert re.fullmatch("[0-9a-f]{64}", found.sha256)
    monkeypatch.chdir(folder)
    assert located(".") == Checkpoint("mine", Path(), found.sha256)
    other = tmp_path / "other"
    folder.rename(other)
    assert located(str(other)).sha256 == found.sha256


@pytest.mark.parametrize("name", FILES)
def test_whatever_decides_what_a_model_says_makes_it_another_one(folder, name):
    before = located(str(folder)).sha256
    (folder / name).write_text(FILES[name] + " ")
    assert located(str(folder)).sha256 != before


def test_what_does_not_decide_makes_no_other_one(folder):
    before = located(str(folder)).sha256
    (folder / "README.md").write_text("mine")
    (folder / "training_args.bin").write_text("pickle")
    assert located(str(folder)).sha256 == before


def test_weights_in_several_files_are_all_of_it(folder):
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "b.safetensors").write_text("more")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "a.safetensors"}}))
    before = located(str(folder)).sha256
    (folder / "b.safetensors").write_text("less")
    assert located(str(folder)).sha256 != before
    (folder / "b.safetensors").unlink()
    assert "b.safetensors of its weights is missing" in refusal(folder)
    for said in ("[]", "{", '{"weight_map": []}', "{}"):
        index.write_text(said)
        assert "cannot be understood" in refusal(folder)


def test_what_a_folder_lacks_is_said(folder):
    (folder / "tokenizer.json").unlink()
    assert refusal(folder) == (
        f"{folder}: there is no tokenizer.json: a model without a tokenizer reads no text; save one there with "
        "tokenizer.save_pretrained"
    )
    (folder / "model.safetensors").unlink()
    assert f"{folder}: there is no model.safetensors; save the model there with save_pretrained" == refusal(folder)
    (folder / "pytorch_model.bin").write_text("pickle")
    assert "pytorch_model.bin can run code when it is read, and there is no model.safetensors" in refusal(folder)
    (folder / "config.json").unlink()
    assert "no model: there is no config.json" in refusal(folder)


def test_an_adapter_is_no_model(folder):
    (folder / "adapter_config.json").write_text("{}")
    assert "merge it into its model" in refusal(folder)


@pytest.mark.parametrize("name", ["", "gpt2", "/nowhere/at/all", "./none", "a/b/c", "../x", "~/none-of-this"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such folder; write the path of a folder that holds a model" in refusal(name)


@pytest.mark.parametrize("gone", ["torch", "transformers"])
def test_an_extra_that_is_missing_is_one_sentence(gone, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", type(sys)("torch"))
    monkeypatch.setitem(sys.modules, "transformers", type(sys)("transformers"))
    monkeypatch.setitem(sys.modules, gone, None)
    with pytest.raises(UsageError) as caught:
        libraries("mine")
    assert str(caught.value) == f"mine: a model in this process needs the library {gone}; {NEEDED}"


@pytest.mark.whitebox
def test_a_model_of_the_hub_that_cannot_be_had_is_one_sentence(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert re.match("some/model: no such folder, and the hub does not give it", refusal("some/model"))


@pytest.mark.whitebox
def test_a_model_of_the_hub_that_is_here_already_is_taken_from_where_it_is_kept(folder, tmp_path, monkeypatch):
    import huggingface_hub.constants

    kept = tmp_path / "cache" / "models--some--model"
    (kept / "refs").mkdir(parents=True)
    (kept / "snapshots").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    folder.rename(kept / "snapshots" / ("0" * 40))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    found = located("some/model")
    assert (found.name, found.folder.name) == ("some/model", "0" * 40)
