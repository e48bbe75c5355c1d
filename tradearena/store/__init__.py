"""The store: steps come in as they happen, one DuckDB file that a stranger can read and check goes out."""
