"""The server of the pages."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from nicegui import core, ui
from starlette.responses import RedirectResponse

from latents.app.guard import Guard
from latents.app.opening import Shown
from latents.app.pages import documents, frame, generate, images

HOST = "127.0.0.1"
_TRIED = 100  # ports
# Each page's address, the pipeline whose models it is on, and what lays it out.
_PAGES: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "documents": ("clustering", documents.DocumentsPage),
    "images": ("pca", images.ImagesPage),
    "generate": ("cvae", generate.GeneratePage),
}


def free_port(first: int) -> int:
    """Return the first port of this machine from `first` on that nobody listens on.

    Raises
    ------
    OSError
        If there is none among a hundred.
    """
    last = min(first + _TRIED, 65536)
    for port in range(first, last):
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((HOST, port))
            return port
    raise OSError(f"no port from {first} to {last - 1} is free")


def application(shown: Shown, port: int) -> FastAPI:
    """Return the pages on what is shown, to be served at a port of this machine."""
    hosts = [f"{name}:{port}" for name in (HOST, "localhost")]
    app = FastAPI(openapi_url=None)
    models = (shown.documents, shown.images, shown.generation)
    first_page = next(page for page, model in zip(_PAGES, models, strict=True) if model is not None)

    @app.get("/")
    def first() -> RedirectResponse:
        return RedirectResponse(f"/{first_page}")

    @app.post("/texts/{client}")
    async def texts(client: str, request: Request) -> Response:
        return await documents.take_files(client, request)

    for (page, (pipeline, lay_out)), model in zip(_PAGES.items(), models, strict=True):
        _serve_page(page, shown, pipeline, model, lay_out)

    @ui.page("/{_:path}", title="Latents")
    async def other_page(_: str) -> None:
        await frame.opened_at()
        frame.absent("", shown.name, "There is no such page; the three that there are stand above.")

    ui.run_with(
        app,
        title="Latents",
        dark=None,
        language="en-US",
        tailwind=False,
        favicon=frame.ICON,
        show_welcome_message=False,
        reconnect_timeout=60.0,  # seconds: a browser that lays out a long text is away for some
    )
    core.sio.eio.cors_allowed_origins = [f"http://{host}" for host in hosts]  # NiceGUI lets all in
    app.add_middleware(Guard, hosts=hosts)
    return app


def serve(shown: Shown, port: int, ready: Callable[[str], None]) -> None:
    """Serve the pages until Ctrl-C, and call `ready` with their address once they can be opened."""
    config = uvicorn.Config(
        application(shown, port), host=HOST, port=port, log_level="warning", access_log=False, ws="wsproto"
    )
    server = uvicorn.Server(config)

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await uvicorn.Server.startup(server, sockets)
        if server.started:
            ready(f"http://{HOST}:{port}")

    server.startup = startup  # type: ignore[method-assign]
    with suppress(KeyboardInterrupt):  # by which it ends
        server.run()


def _serve_page(
    page: str, shown: Shown, pipeline: str, model: Any, lay_out: Callable[[Any, str], Any]
) -> None:
    @ui.page(f"/{page}", title="Latents")
    async def laid_out() -> None:
        link = await frame.opened_at()
        if model is None:
            frame.absent(page, shown.name, shown.lacking[pipeline])
        else:
            lay_out(model, shown.name).begin(link)
