"""Hidden states of models in this process, held against what transformers gives for one text at a time."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import gpt
import numpy as np
import pytest

from tradearena.agents.causal import batches, opened
from tradearena.agents.checkpoint import depth_of, device_of, located
from tradearena.agents.layers import layer_of
from tradearena.errors import UsageError

WORDS = ["calm", "busy", "names", "are", "held", "because", "the", "market", "fell", "again", "and", "volumes", "rose"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return gpt.random_gpt(tmp_path_factory.mktemp("random"), positions=96)


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def loaded(folder):
    return opened(located(str(folder)))


def by_hand(model, prompt: str, text: str, layer: int, pool: str):
    """What the whole model says of one text, its layers all kept."""
    import torch

    before = model.tokenizer(f"{prompt}\n\n")["input_ids"] if prompt else []
    own = model.tokenizer(text)["input_ids"]
    room = model.context - 1
    ids = [model.tokenizer.bos_token_id, *[*before, *own][-room:]]
    with torch.inference_mode():
        states = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
    own_states = states[-min(len(own), room) :]
    return (own_states.mean(dim=0) if pool == "mean" else own_states[-1]).double().numpy()


def said(dice, count: int) -> list[tuple[str, str]]:
    """Prompts and texts of all lengths, some longer than the model reads, some empty."""
    words = [" ".join(dice.choice(WORDS, dice.integers(0, 14))) for _ in range(2 * count)]
    return list(zip(words[::2], words[1::2], strict=True))


def test_texts_that_are_read_together_are_alike_in_length_and_no_more_than_a_batch_holds():
    assert list(batches([3, 9, 0, 4, 8, 1], 16)) == [[1], [4, 3], [0, 5]]
    assert list(batches([50, 40], 16)) == [[0], [1]]
    assert list(batches([], 16)) == []


def test_layers_are_counted_from_both_ends():
    assert [layer_of(asked, 4, "mine") for asked in (None, 0, 4, -1, -5)] == [2, 0, 4, 4, 0]
    for asked in (5, -6):
        with pytest.raises(UsageError, match=rf"mine has no layer {asked}: there are 0, the embeddings, to 4, or -1"):
            layer_of(asked, 4, "mine")


@pytest.mark.whitebox
@pytest.mark.xdist_group("whitebox")
class TestReading:
    @pytest.mark.parametrize("layer", [0, 1, 3])
    @pytest.mark.parametrize("pool", ["mean", "last"])
    def test_a_batch_gives_each_text_what_it_gets_alone(self, folder, layer, pool):
        model = loaded(folder)
        pairs = said(np.random.default_rng(layer), 12)
        found = model.read(pairs, layer, pool, tokens=200)
        for (prompt, text), vector in zip(pairs, found.vectors, strict=True):
            expected = by_hand(model, prompt, text, layer, pool) if text else np.zeros(48)
            np.testing.assert_allclose(vector, expected, rtol=0, atol=2e-6)
        lengths = [1 + len(f"{prompt}\n\n" if prompt else "") + len(text) for prompt, text in pairs if text]
        assert found.cut == sum(length > model.context for length in lengths) > 0
        assert (model.context, model.layers.depth) == (96, 3)

    def test_the_prompt_is_read_and_only_the_text_is_pooled(self, folder):
        model = loaded(folder)
        one, other, alone = (model.read([(prompt, "held")], 2).vectors[0] for prompt in ("calm", "busy", ""))
        assert np.abs(one - other).max() > 1e-3
        assert np.abs(one - alone).max() > 1e-3
        first = model.read([("calm", "held")], 0).vectors[0]
        np.testing.assert_allclose(first, by_hand(model, "calm", "held", 0, "mean"), atol=1e-6)

    def test_nothing_said_is_nothing(self, folder):
        found = loaded(folder).read([("prompt", ""), ("", " \n")], 1)
        assert (found.vectors.tolist(), found.cut) == (np.zeros((2, 48)).tolist(), 0)
        assert loaded(folder).read([], 1).vectors.shape == (0, 48)

    def test_blocks_behind_the_layer_are_not_run_and_nothing_is_left_in_the_model(self, folder):
        model, run = loaded(folder), []
        hooks = [
            block.register_forward_hook(lambda *_, place=place: run.append(place))
            for place, block in enumerate(model.layers.blocks)
        ]
        model.read([("", "held")], 1)
        assert run == [0]
        model.read([("", "held")], 3)
        assert run == [0, 0, 1, 2]
        for hook in hooks:
            hook.remove()
        assert not any(block._forward_pre_hooks for block in model.layers.blocks)

    def test_a_model_that_names_its_states_otherwise_is_read_all_the_same(self, tmp_path):
        """Of RWKV the blocks are handed their states in a way of their own: all layers are kept."""
        import torch
        from transformers import RwkvConfig, RwkvForCausalLM

        folder = gpt.random_gpt(tmp_path / "rwkv")
        words = json.loads((folder / "config.json").read_text())["vocab_size"]
        torch.manual_seed(0)
        shape = {"vocab_size": words, "num_hidden_layers": 3, "hidden_size": 48, "context_length": 96}
        RwkvForCausalLM(RwkvConfig(**shape)).save_pretrained(folder)
        model = loaded(folder)
        assert model.layers.blocks is None
        pairs = [("calm", "held"), ("", "the market fell")]
        alone = [model.read([pair], 2).vectors[0] for pair in pairs]
        np.testing.assert_allclose(model.read(pairs, 2).vectors, alone, atol=2e-6)
        assert np.abs(alone[0]).max() > 0

    def test_a_folder_is_read_without_a_network_and_the_model_is_kept(self, copy, monkeypatch):
        def refuse(*_args, **_more):
            raise AssertionError("somebody looked for a network")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert loaded(copy) is loaded(copy)
        assert loaded(copy).versions["device"] == "cpu"
        assert loaded(copy).versions["dtype"] == "float32"

    def test_what_cannot_be_loaded_is_one_sentence(self, copy):
        def refusal() -> str:
            with pytest.raises(UsageError) as caught:
                loaded(copy)
            assert "\n" not in str(caught.value)
            return str(caught.value)

        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "n_layer": 4}))
        assert "of its weights are not in the file" in refusal()
        (copy / "config.json").write_text(json.dumps({**config, "model_type": "none-such"}))
        assert "transformers cannot load it" in refusal()
        with pytest.raises(UsageError, match=r"copy: its config\.json is of no model known here"):
            depth_of(located(str(copy)))
        remote = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"}}
        (copy / "config.json").write_text(json.dumps(remote))
        (copy / "mine.py").write_text("raise SystemExit('this ran')")
        assert "transformers cannot load it" in refusal()
        (copy / "config.json").write_text(json.dumps(config))
        (copy / "model.safetensors").write_bytes(b"nothing of the kind")
        assert "transformers cannot load it" in refusal()

    def test_a_device_that_is_not_there_is_one_sentence(self, folder):
        for name in ("cuda:99", "nonsense"):
            with pytest.raises(UsageError, match=f"torch has no device '{name}' here") as caught:
                device_of(located(str(folder)), name)
            assert "\n" not in str(caught.value)

    def test_a_conversation_is_cut_into_tokens_in_the_form_of_its_model(self, copy):
        model = loaded(copy)
        messages = [{"role": "system", "content": "Trade."}, {"role": "user", "content": "Bars."}]
        assert model.text(model.prompt(messages)) == "Trade.\n\nBars.\n\n"
        assert model.prompt(messages)[0] == model.tokenizer.bos_token_id
        model.tokenizer.chat_template = gpt.CHAT
        assert model.tokenizer.decode(model.prompt(messages)) == f"Trade.\n\nBars.\n\n{gpt.MARK}"
        model.tokenizer.chat_template = (
            "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
            "[{{ m['role'] }} {{ m['content'] }}]{% endfor %}"
        )
        assert model.text(model.prompt(messages)) == "[user Trade.\n\nBars.]"
        model.tokenizer.chat_template = "{{ raise_exception('never') }}"
        with pytest.raises(UsageError, match="its chat template cannot be filled in: never"):
            model.prompt(messages)
        opened.cache_clear()

    def test_there_has_to_be_room_for_a_prompt(self, folder):
        assert loaded(folder).room(90) == 6
        with pytest.raises(UsageError, match="reads 96 tokens at once, and max_tokens = 96 leaves none for a prompt"):
            loaded(folder).room(96)
