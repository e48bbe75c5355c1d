"""Where a model is, and what it is known by."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from tradearena.analysis.signatures.probe import probe_of
from tradearena.analysis.signatures.weights import weights_of
from tradearena.errors import UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path):
    """The files of one, as far as they are looked at here."""
    folder = tmp_path / "model"
    (folder / "1_Dense").mkdir(parents=True)
    for name, text in (("config.json", "{}"), ("model.safetensors", "weights"), ("1_Dense/model.safetensors", "more")):
        (folder / name).write_text(text)
    return folder


def complaint(model):
    with pytest.raises(UsageError) as caught:
        weights_of(str(model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_known_by_what_its_files_say_wherever_they_are(model, tmp_path):
    found = weights_of(str(model))
    assert found.folder == model
    assert found.identity.startswith("sha256 ")
    copy = shutil.copytree(model, tmp_path / "elsewhere")
    (copy / "README.md").write_text("says nothing of the vectors")
    assert weights_of(str(copy)).identity == found.identity
    for name, text in (("config.json", "{ }"), ("1_Dense/model.safetensors", "else"), ("vocab.txt", "a")):
        (copy / name).write_text(text)
        assert weights_of(str(copy)).identity != found.identity
        shutil.rmtree(copy)
        shutil.copytree(model, copy)
    (copy / "1_Dense").rename(copy / "2_Dense")
    assert weights_of(str(copy)).identity != found.identity


def test_what_is_no_model_is_said_to_be_none(model, tmp_path):
    for name in (tmp_path / "none", model / "config.json", "./none", "a/b/c", "../up", "~nobody/x", "C:\\models\\x"):
        assert f"no model in '{name}': no such folder" in complaint(name)
    assert "neither config.json nor modules.json is there" in complaint(tmp_path)
    for file in model.rglob("*.safetensors"):
        file.rename(file.with_suffix(".bin"))
    assert "has no weights in safetensors, and no others are read" in complaint(model)


def test_a_name_of_the_hub_is_looked_up_and_known_by_its_commit(model, tmp_path, monkeypatch):
    """In the cache of the hub's own library, which asks nobody here."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    stored = tmp_path / "hub" / "models--sentence-transformers--small"
    shutil.copytree(model, stored / "snapshots" / COMMIT)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(COMMIT)
    found = weights_of("small")
    assert found == weights_of("sentence-transformers/small")
    assert found.identity == f"sentence-transformers/small@{COMMIT}"
    assert (found.folder / "config.json").is_file()
    assert "no folder 'else/where', and not to be had from the hub: " in complaint("else/where")


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="the extra transformer is installed"
)
def test_without_the_extra_it_is_said_what_to_type(model):
    with pytest.raises(UsageError) as caught:
        probe_of(f"transformer:{model}")
    assert str(caught.value) == (
        f"transformer:{model} needs the library sentence-transformers; where TradeArena is installed from, type: "
        'python -m pip install -e ".[transformer]"'
    )
