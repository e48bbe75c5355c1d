"""How fast texts become vectors: prints texts a second, in CPU time, of probes without a model, or of any other.

    python benchmarks/probes.py FILE                        a Parquet file with a column of texts
    python benchmarks/probes.py FILE --column rationale --probe hash --probe transformer:FOLDER

The texts are dealt to eight trajectories of one path, so `lsa` is fitted eight times. The first round, in which
libraries are loaded, is not counted; of three more the fastest is.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import duckdb

from tradearena.analysis.signatures.probe import probe_of
from tradearena.analysis.signatures.trace import Said


def main() -> None:
    """Print a line for each probe."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file")
    options.add_argument("--column", default="reasoning_text")
    options.add_argument("--probe", action="append")
    asked = options.parse_args()
    rows = duckdb.execute(f"SELECT \"{asked.column}\" FROM '{asked.file}' WHERE \"{asked.column}\" <> ''").fetchall()
    corpora = [[Said(text) for (text,) in rows[k::8]] for k in range(8)]
    print(f"{len(rows)} texts of {median(len(text) for (text,) in rows):.0f} characters")
    for name in asked.probe or ("hash", "lsa", "lsa64"):
        probe, taken = probe_of(name), []
        for _ in range(4):
            began = time.process_time()
            probe.embed(corpora, [0] * len(corpora))
            taken.append(time.process_time() - began)
        print(f"{probe.name:12} {len(rows) / min(taken[1:]):7.0f} texts a second")


if __name__ == "__main__":
    main()
