"""The risk layer: what a portfolio may be, how far a decision may move it, and what is said about it afterwards."""
