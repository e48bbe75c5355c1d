"""Agents: anything that maps an `Observation` to a `Decision`."""
