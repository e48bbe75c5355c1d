"""A model that is none, for tests: a function of the messages comes in; an address on loopback that speaks OpenAI's
protocol goes out, and every request that was sent to it.

    from tradearena.testing import Answer, ChatServer

    with ChatServer(lambda messages: '{"target_weights": {}}') as server:
        ...  # ask server.url, as a card does with `api_base`; then look at server.requests

What answers is a function, or what `sequence` and `chance` make of several answers. It returns a text, or an `Answer`
that says how the text is sent, or that it is not: refused, cut off, dripping, never.
"""

from tradearena.testing.answers import FAULTS, Answer, Messages, Reply, chance, completion, sequence
from tradearena.testing.server import ChatServer, Request

__all__ = ["FAULTS", "Answer", "ChatServer", "Messages", "Reply", "Request", "chance", "completion", "sequence"]
