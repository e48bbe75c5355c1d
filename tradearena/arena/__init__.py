"""The arena: agents, markets, risk and execution meet in episodes; episodes make experiments."""
