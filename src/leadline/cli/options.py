"""Options that several commands take, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

Weights = Annotated[
    str | None, typer.Option(help="File to take in place of the model's published weights.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Runtime = Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")]
Precision = Annotated[str, typer.Option(help="auto, f32, bf16 or f16.")]
InputSide = Annotated[
    int | None, typer.Option(help="Short side of the network's usual input; larger is sharper.")
]
MaxDepth = Annotated[
    float | None, typer.Option(help="Metres, for metric checkpoints that do not tell it.")
]
Flip = Annotated[
    bool, typer.Option("--flip", help="Average with the mirrored picture; twice the time.")
]
Threads = Annotated[int | None, typer.Option(help="Threads of the network.")]
