"""``python -m latents.app``: open the pages on the models of the last run, or on others."""

import logging
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from latents.app.opening import Shown

PORT = 7860
_WARM_UP = 2.0  # seconds until what other pages need is reckoned: the first page goes first


@click.command()
@click.option(
    "--env", help="The environment whose last run is shown; by default that of a plain `kedro run`."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="In its place: the folder of a predictor, or a name in MLflow's registry such as "
    "latents-pca-base@champion. Once for each model.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="The first port that is tried.",
)
@click.option("--browser/--no-browser", default=True, help="Whether the page is opened in a browser.")
def main(env: str | None, models: tuple[str, ...], port: int, browser: bool) -> None:
    """Open a local page to play with trained models: documents, images, and images by class."""
    if env and models:
        raise click.UsageError(
            "--env and --model exclude each other: the page is on a run or on named models"
        )
    try:
        import nicegui  # noqa: F401
    except ImportError as error:
        raise click.ClickException("the page needs the extra 'app': pip install 'latents[app]'") from error
    import torch

    from latents.app.opening import OpeningError, open_models, open_run
    from latents.app.server import free_port, serve

    logging.basicConfig(format="==> %(message)s", level=logging.WARNING)
    # An answer is a matter of milliseconds, for which threads would wait for one another.
    torch.set_num_threads(1)
    try:
        shown = open_models(models) if models else open_run(Path.cwd(), env)
        chosen = free_port(port)
    except (OpeningError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for pipeline, reason in shown.lacking.items():
        print(f"==> {pipeline}: {reason}", file=sys.stderr)

    def ready(address: str) -> None:
        print(f"==> Latents on {address} (Ctrl-C ends it)", flush=True)
        later = threading.Timer(_WARM_UP, lambda: _warm_up(shown))
        later.daemon = True
        later.start()
        if browser:
            webbrowser.open(address)

    serve(shown, chosen, ready)


def _warm_up(shown: "Shown") -> None:
    for model in (shown.documents, shown.images, shown.generation):
        if model is not None:
            model.warm_up()


if __name__ == "__main__":
    main()
