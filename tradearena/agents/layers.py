"""The layers of a causal model: inputs come in, what stands between its blocks goes out.

They are numbered as transformers numbers `hidden_states`: 0 are the embeddings, k is what stands after k blocks, -1 the
last, after the final norm. The default is the middle: across model families, what a text means is read more easily from
there than from the end, where all is made for the next token (Skean et al. 2025, "Layer by Layer", ICML, arXiv
2502.02013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradearena.errors import UsageError

_TRIED = 3
"""Tokens on which it is tried whether the states can be had on their way."""


class _Reached(Exception):
    """Carries out of a model what need not be run to its end."""


class Layers:
    """The layers of a model in memory; `depth` is the number of its blocks, and of its last layer.

    What is asked for is taken on its way into a block, and nothing else is kept. Where that is not what transformers
    gives as `hidden_states`, which is tried once on a few tokens, all of them are kept for the sake of one.
    """

    def __init__(self, torch: Any, model: Any) -> None:
        self._torch, config = torch, model.config.get_text_config()
        self.depth = int(config.num_hidden_layers)
        self.base = getattr(model, model.base_model_prefix, model)
        lists = (each for each in self.base.modules() if isinstance(each, torch.nn.ModuleList))
        self.blocks = next((each for each in lists if len(each) == self.depth), None)
        ids = torch.arange(_TRIED, device=model.device)[None] % config.vocab_size
        if self.blocks is not None and not self._alike(ids):
            self.blocks = None

    def hear(self, module: Any, layers: Sequence[int], *, only: bool = False, **inputs: Any) -> tuple[Any, Any]:
        """Run the model, or its base: its output, and by layer the states [B, T, H]. With `only` these alone are
        wanted: blocks behind them are not run, and there may be no output."""
        if self.blocks is None:
            out = module(**inputs, output_hidden_states=True)
            return out, {layer: out.hidden_states[layer] for layer in layers}
        heard: dict[int, Any] = {}
        stop = max(layers, default=self.depth) if only else self.depth

        def before(layer: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            heard[layer] = args[0] if args else kwargs["hidden_states"]
            if layer == stop:
                raise _Reached

        def after(out: Any) -> None:
            heard[self.depth] = out[0]

        hooks = [
            self.base.register_forward_hook(lambda _module, _args, out: after(out))
            if layer == self.depth
            else self.blocks[layer].register_forward_pre_hook(
                lambda _module, args, kwargs, layer=layer: before(layer, args, kwargs), with_kwargs=True
            )
            for layer in layers
        ]
        try:
            return module(**inputs), heard
        except _Reached:
            return None, heard
        finally:
            for hook in hooks:
                hook.remove()

    def _alike(self, ids: Any) -> bool:
        """Is what is heard what transformers gives?"""
        layers = range(self.depth + 1)
        with self._torch.inference_mode():
            known = self.base(input_ids=ids, output_hidden_states=True).hidden_states
            try:
                _, heard = self.hear(self.base, layers, input_ids=ids)
            except (KeyError, IndexError, TypeError):  # a block that takes its states by another name
                return False
        return len(known) == len(heard) == len(layers) and all(
            heard[k].shape == known[k].shape and self._torch.allclose(heard[k], known[k], rtol=1e-3, atol=1e-5)
            for k in layers
        )


def layer_of(asked: int | None, depth: int, name: str) -> int:
    """The number of a layer, from 0: of the middle where none is asked for, from the end where it is negative.

    Raises:
        UsageError: the model has no such layer.
    """
    if asked is None:
        return depth // 2
    if not -depth - 1 <= asked <= depth:
        raise UsageError(f"{name} has no layer {asked}: there are 0, the embeddings, to {depth}, or -1 for the last")
    return asked % (depth + 1)
