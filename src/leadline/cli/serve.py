"""``leadline serve``: the page and the REST interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import with_load_options
from leadline.errors import MissingDependencyError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions


@with_load_options(many=True, default=("lite", "lite-metric"))
def serve(
    load: list[LoadOptions],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes, each with the models of its own.")
    ] = 1,
    queue: Annotated[
        int, typer.Option(min=1, help="Pictures that may wait in a process; more are told to.")
    ] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Pictures of one size that run together.")] = 8,
    timeout: Annotated[float, typer.Option(help="Seconds to an answer.")] = 60.0,
    max_body: Annotated[float, typer.Option(help="Megabytes of a request.")] = 64.0,
    max_megapixels: Annotated[float, typer.Option(help="Millions of pixels of a picture.")] = 64.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Name of this host that requests may use, behind a proxy."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that requests must carry.", show_default=False),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Serve with Ray Serve: the cluster's address, auto, or local."),
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, help="On the cluster.")] = 1,
    gpus: Annotated[float, typer.Option(help="GPUs of a replica.")] = 0.0,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    static: Annotated[
        Path | None,
        typer.Option(
            help="Serve nothing: write the page to this folder, for any static host; its visitors' "
            "browsers run the models.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a page that shows depth, and a REST interface for programs.

    Give --model several times to serve several; the other options count for all of them. Nothing is
    kept of what is sent, and nothing is sent anywhere. See docs/server.md.
    """
    if static is not None:
        from leadline.static_site import write_site

        files = write_site(static, load)
        typer.echo(f"The page is in {static}: {len(files)} files for any static host.", err=True)
        return
    try:
        from leadline.serve import Limits, Listen
        from leadline.serve import serve as serve_models
        from leadline.serve.guard import read_token
    except ModuleNotFoundError as error:
        raise MissingDependencyError(error.name or "fastapi", "leadline serve", "serve") from error

    limits = Limits(
        queue_size=queue,
        batch_size=batch,
        timeout_s=timeout,
        max_body_mb=max_body,
        max_megapixels=max_megapixels,
    )
    token = None if token_file is None else read_token(token_file)
    for one in load:
        one.identify()  # what cannot be opened is said before anything listens
    listen = Listen(host=host, port=port, workers=workers, hosts=tuple(allow_host or ()))
    if ray is not None:
        from leadline.serve.replicas import Replicas, serve_on_ray

        places = Replicas(address=ray, count=replicas, gpus=gpus)
        serve_on_ray(load, listen, places, limits=limits, token=token, on_start=_say_address)
        return
    serve_models(
        load, listen, limits=limits, token=token, open_page=open_page, on_start=_say_address
    )


def _say_address(address: str) -> None:
    typer.echo(f"Leadline is at {address}", err=True)
