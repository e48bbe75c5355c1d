"""Analysis: numbers computed from trajectories, never stored beside them."""
