"""The probe of sentence-transformers models, on small real ones made on the spot: nothing is fetched, and no code of
theirs is run."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import tiny

from tradearena.analysis.signatures.cache import NEAR, Cached
from tradearena.analysis.signatures.probe import probe_of
from tradearena.analysis.signatures.trace import Said
from tradearena.errors import UsageError

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("sentence_transformers") is None, reason="the extra transformer is not installed"
    ),
    pytest.mark.xdist_group("transformer"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    tiny.causal(folder / "causal")
    tiny.sentence(folder)
    return folder


@pytest.fixture
def folder(models, tmp_path) -> Path:
    """A copy of the whole model, to be changed."""
    return Path(shutil.copytree(models / "whole", tmp_path / "copy"))


def embed(model, *corpora):
    return probe_of(f"transformer:{model}").embed(
        [[Said(text) for text in each] for each in corpora], [0] * len(corpora)
    )


def complaint(model) -> str:
    """What is said of a model that cannot be had, in one sentence."""
    with pytest.raises(UsageError) as caught:
        embed(model, ["hold"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_hand(model: Path, text: str):
    """Mean of the last layer over the tokens that the model reads, one text at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(model)(text, truncation=True, max_length=32, return_tensors="pt")
    with torch.inference_mode():
        return AutoModel.from_pretrained(model).eval()(**tokens).last_hidden_state[0].mean(dim=0).double().numpy()


@pytest.mark.parametrize("kind", ["base", "causal"])
def test_of_a_plain_model_it_is_the_mean_over_the_tokens(models, kind):
    (found,) = embed(models / kind, tiny.TEXTS)
    np.testing.assert_allclose(found, [by_hand(models / kind, text) for text in tiny.TEXTS], rtol=0, atol=1e-5)
    assert found.dtype == np.float64


def test_of_a_sentence_model_it_is_what_that_makes_of_it(models):
    (found,) = embed(models / "whole", tiny.TEXTS)
    means = np.array([by_hand(models / "base", text) for text in tiny.TEXTS])
    np.testing.assert_allclose(found, means / np.linalg.norm(means, axis=1, keepdims=True), rtol=0, atol=1e-5)


def test_a_text_has_one_vector_wherever_and_however_often_it_was_said_and_silence_has_none(models):
    first = embed(models / "whole", tiny.TEXTS, [tiny.TEXTS[1], "", " \n", tiny.TEXTS[1]], [])
    np.testing.assert_array_equal(first[1][[0, 3]], first[0][[1, 1]])
    assert not first[1][[1, 2]].any()
    assert first[2].shape == (0, 16)
    again = embed(models / "whole", tiny.TEXTS[::-1])
    np.testing.assert_array_equal(again[0][::-1], first[0])
    assert [rows.shape for rows in embed(models / "whole", [""], [])] == [(1, 16), (0, 16)]


def test_more_texts_than_a_batch_holds_are_read_all(models):
    texts = [f"hold {'oil ' * (i % 9)}{i}" for i in range(100)]
    (found,) = embed(models / "whole", texts)
    for i in (0, 37, 99):
        (alone,) = embed(models / "whole", [texts[i]])
        assert np.linalg.norm(found[i] - alone[0]) < NEAR / 100


def test_a_model_in_a_folder_never_touches_the_network(models, monkeypatch):
    tried = []

    def refuse(*address, **_more):
        tried.append(address)
        raise OSError("no network here")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for kind in ("whole", "base"):
        embed(models / kind, tiny.TEXTS)
    assert tried == []


def test_code_that_a_model_brings_along_is_not_run(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own:\n    pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules, {**modules[-1], "idx": 9, "type": "own.Own"}]))
    assert "own.Own" in complaint(folder)
    (folder / "modules.json").write_text(json.dumps(modules))
    config = json.loads((folder / "config.json").read_text())
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    assert "the model cannot be loaded" in complaint(folder)
    assert not ran.exists()


def test_weights_in_anything_but_safetensors_are_not_read(folder):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert complaint(folder) == (
        f"the model '{folder}' has no weights in safetensors, and no others are read; save it anew with "
        "safe_serialization=True"
    )


def test_a_damaged_model_is_one_sentence(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])
    assert "the model cannot be loaded" in complaint(folder)
    (folder / "model.safetensors").write_bytes(whole)
    (folder / "config.json").write_text("{")
    assert "the model cannot be loaded" in complaint(folder)


def test_a_model_that_gives_no_numbers_is_one_sentence(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value * float("nan") for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    assert "not finite" in complaint(folder)


def test_its_vectors_are_kept_in_the_file_of_an_experiment_under_the_weights_it_has(models, folder, tmp_path):
    from stage import dataset, walk

    from tradearena.agents.card import open_agent
    from tradearena.arena import experiment
    from tradearena.arena.plan import Plan
    from tradearena.market.window import Window
    from tradearena.policy import load

    path, said = tmp_path / "run.duckdb", []
    plan = Plan(dataset(walk(4, bars=40, n=4)), load("standard"), Window(steps=3), (open_agent("equal-weight"),))
    assert experiment.run(plan, path).failure is None
    corpora = [[Said(text) for text in tiny.TEXTS]]

    def cached(model):
        return Cached(probe_of(f"transformer:{model}"), path, warn=said.append).embed(corpora, [0])[0]

    first = cached(models / "whole")
    np.testing.assert_array_equal(cached(folder), first)  # the same weights in another place
    tiny.sentence(tmp_path / "other", seed=1)
    assert np.abs(cached(tmp_path / "other" / "whole") - first).max() > 0.1
    np.testing.assert_array_equal(cached(models / "whole"), first)
    assert said == []
    import duckdb

    with duckdb.connect(str(path), read_only=True) as db:
        probes = db.execute("SELECT probe, count(*) FROM embedding GROUP BY 1").fetchall()
    assert [count for _, count in probes] == [5, 5]
    assert not any(str(tmp_path.parent) in probe for probe, _ in probes)


def test_a_gpu_and_a_processor_agree(models):
    import torch

    from tradearena.analysis.signatures.transformer import TransformerProbe

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    corpora = [[Said(text) for text in tiny.TEXTS]]
    one, other = (TransformerProbe(str(models / "whole"), device).embed(corpora, [0])[0] for device in ("cpu", "cuda"))
    assert (np.linalg.norm(one - other, axis=1) < NEAR / 10).all()
