"""An agent that itself runs in this process: a prompt comes in, the reply that a causal model writes goes out, with
what went on in it as it wrote."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from tradearena.agents.allowance import Estimate
from tradearena.agents.answer import storable
from tradearena.agents.causal import Causal, Precision
from tradearena.agents.conversation import Reply
from tradearena.agents.messages import messages_of
from tradearena.agents.reply import decision_in
from tradearena.agents.switchboard import GLANCE, Switchboard
from tradearena.cards import Card
from tradearena.errors import Interrupted
from tradearena.values import Call, Exchange, State


class Local(Card):
    """The `[parameters]` of a card of kind `local`.

    Attributes:
        model: path of a folder that holds a causal model, or `organisation/name` of one of the hub.
        sha256: of that model; where it is given, no other is taken. On record it always is.
        temperature: 0 takes the likeliest token every time; else the seed has a say.
        max_tokens: of one reply.
        layers: whose states are recorded; by default the middle and the last.
        device: as torch has it; by default a GPU if there is one.
        precision: of its numbers; auto is that of its files.
    """

    model: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 1000
    layers: list[int] | None = None
    device: str | None = None
    precision: Precision = "float32"


class LocalVoice:
    """A model in its seat. `load` puts it into memory, where it is not there yet."""

    def __init__(
        self, load: Callable[[], Causal], planted: Local, seed: int, board: Switchboard, symbols: tuple[str, ...]
    ) -> None:
        self.load, self.planted, self.seed, self.board, self.symbols = load, planted, seed, board, symbols

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:
        """Write a reply: up to the end of the first object in it that is a decision, or as long as it may be.

        Raises:
            UsageError: the model cannot be loaded, or has no such layer.
            Limited: what the run may take is not enough for another reply.
            Interrupted: a stop was asked for.
        """
        planted = self.planted
        model = await asyncio.to_thread(self.load)
        ids = model.prompt(messages_of(system, prompt, before))
        room = model.room(planted.max_tokens) or len(ids)
        sent: dict[str, Any] = {"max_tokens": planted.max_tokens, "temperature": planted.temperature}
        sent |= {"seed": self.seed} if planted.temperature else {}
        sent |= {"prompt_cut": len(ids) - room} if len(ids) > room else {}
        named = f"{planted.model}@{planted.sha256[:12]}"
        call = Call(f"local:{planted.model}", json.dumps(sent, sort_keys=True), named, error="broken off")
        async with self.board.allowance.reserved(Estimate(min(len(ids), room) + planted.max_tokens, 0.0)) as made:
            began = time.perf_counter()
            try:
                written = await self._written(model, ids[-room:])
            except BaseException as error:
                error.calls = (call._replace(latency=time.perf_counter() - began),)  # type: ignore[attr-defined]
                raise
            call = call._replace(
                finish="stop" if written.ended else "length",
                input_tokens=min(len(ids), room),
                output_tokens=written.tokens,
                cost=0.0,
                latency=time.perf_counter() - began,
                error=None,
            )
            made.append(call)
        return Reply(storable(written.text), not written.ended, (call,), states=written.states)

    async def _written(self, model: Causal, ids: list[int]) -> Written:
        """In a thread, which ends soon after nobody waits for it any more."""
        left = threading.Event()

        def go_on() -> None:
            self.board.go_on()
            if left.is_set():
                raise Interrupted("nobody waits for this reply")

        try:
            return await asyncio.to_thread(self._write, model, ids, go_on)
        finally:
            left.set()

    def _write(self, model: Causal, ids: list[int], go_on: Callable[[], None]) -> Written:
        planted = self.planted
        layers = recorded(model, planted)
        dice = hashlib.sha256(f"{self.seed} {ids}".encode()).digest()  # so a step depends on nothing before it
        while not model.lock.acquire(timeout=GLANCE):
            go_on()
        try:
            return write(model, ids, layers, planted.temperature, planted.max_tokens, dice, self._ends, go_on)
        finally:
            model.lock.release()

    def _ends(self, text: str) -> bool:
        """Is there a decision in it? What would come after it could only take it back."""
        return decision_in(text, self.symbols).status in ("ok", "repaired")


def recorded(model: Causal, planted: Local) -> list[int]:
    """The layers that are put on record.

    Raises:
        UsageError: the model does not have one of them.
    """
    asked: list[int | None] = [None, -1] if planted.layers is None else [*planted.layers]
    return sorted({model.layer(each) for each in asked})


def check(model: Causal, planted: Local) -> None:
    """Can it be asked?

    Raises:
        UsageError: a layer that is to be recorded is not there, or there is no room for a prompt.
    """
    recorded(model, planted)
    model.room(planted.max_tokens)


class Written(NamedTuple):
    """What a model wrote: its text, in so many tokens, whether it came to its end, and its states as it wrote."""

    text: str
    tokens: int
    ended: bool
    states: tuple[State, ...]


def write(
    model: Causal,
    ids: list[int],
    layers: Sequence[int],
    temperature: float,
    most: int,
    dice: bytes,
    ends: Callable[[str], bool],
    go_on: Callable[[], None],
) -> Written:
    """Let a model write on after these tokens, one by one.

    Its states are those of the tokens it wrote, as they are when it reads them in turn: each has seen all before it.

    Args:
        most: tokens.
        dice: decide where `temperature` leaves a choice.
        ends: is asked, whenever a bracket closed, whether the text is whole.
        go_on: is called before every token, and may raise.
    """
    torch = model.torch
    generator = torch.Generator().manual_seed(int.from_bytes(dice[:8], "little") >> 1)
    out: list[int] = []
    sums: dict[int, Any] = {}
    lasts: dict[int, Any] = {}
    cache, feed, ended, text = None, ids, False, ""
    with torch.inference_mode():
        while True:
            go_on()
            inputs: dict[str, Any] = {"input_ids": torch.tensor([feed], device=model.device), **model.sparing}
            given, heard = model.layers.hear(model.model, layers, past_key_values=cache, use_cache=True, **inputs)
            if out:
                lasts = {layer: states[0, -1].float() for layer, states in heard.items()}
                sums = {layer: sums[layer] + state if sums else state for layer, state in lasts.items()}
            if ended or len(out) == most:
                break
            token = _chosen(torch, given.logits[0, -1].float().cpu(), temperature, generator)
            if ended := token in model.ends:
                break
            out.append(token)
            text = model.text(out)
            ended = "}" in model.text([token]) and ends(text)
            cache = getattr(given, "past_key_values", None)
            feed = [*ids, *out] if cache is None else [token]  # some keep their own kind of memory: they read again
    states = [State(layer, "mean", _bytes(total / len(out))) for layer, total in sums.items()]
    states += [State(layer, "last", _bytes(state)) for layer, state in lasts.items()]
    return Written(text, len(out), ended, tuple(sorted(states)))


def _chosen(torch: Any, logits: Any, temperature: float, generator: Any) -> int:
    if temperature == 0.0:
        return int(logits.argmax())
    return int(torch.multinomial(torch.softmax(logits / temperature, dim=0), 1, generator=generator))


def _bytes(state: Any) -> bytes:
    data: bytes = state.cpu().numpy().astype("<f4").tobytes()
    return data
