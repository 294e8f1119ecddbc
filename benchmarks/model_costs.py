"""Parameters and GFLOP of every network of the catalogue, at its paper's size.

    python benchmarks/model_costs.py --json benchmarks/results/model_costs.json [--latency]

Counted on the meta device: no weights, no memory. With ``--latency`` PyTorch is timed in float32 on
this machine too, for networks of at most ``--largest`` million parameters; the file then names the
machine. tools/figures.py makes the table of docs/models/README.md from the file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from leadline import catalog
from leadline.speed.costs import cost_of
from leadline.speed.machine import facts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--latency", action="store_true", help="time the networks too")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each")
    parser.add_argument("--largest", type=float, default=400, help="10^6 parameters, for --latency")
    arguments = parser.parse_args()
    rows = []
    for spec in catalog.MODELS.values():
        if spec.architecture is None:  # superpixel: no network
            continue
        cost = cost_of(spec)
        if arguments.latency and cost.parameters <= arguments.largest * 1e6:
            cost = cost_of(spec, runs=arguments.runs)
        rows.append(asdict(cost) | {"kind": str(spec.kind)})
        print(f"{cost.name:38} {cost.parameters / 1e6:8.2f} M {cost.gflop:8.2f} GFLOP")
    result = {"machine": facts() if arguments.latency else None, "models": rows}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
