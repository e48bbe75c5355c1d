"""Experiment files in the formats of others: a file and what is wanted come in, folders and files go out."""
