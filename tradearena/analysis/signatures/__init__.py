"""Signatures: statistics of what an agent says and wants over time, before trouble and away from it."""
