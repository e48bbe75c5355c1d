"""TradeArena: a testbed for LLM trading agents with a risk audit layer."""

__version__ = "0.1.0"
