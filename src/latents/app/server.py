"""The server of the pages."""

import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI, Request, Response
from nicegui import Client, core, ui
from starlette.responses import RedirectResponse

from latents.app.guard import Guard
from latents.app.opening import Shown
from latents.app.pages import documents, frame, generate, images

HOST = "127.0.0.1"
_TRIED = 100  # ports


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
    opened: dict[str, documents.DocumentsPage] = {}

    @app.get("/")
    def first() -> RedirectResponse:
        return RedirectResponse(f"/{_first(shown)}")

    @app.post("/texts/{client}")
    async def texts(client: str, request: Request) -> Response:
        return await documents.take_files(opened, client, request)

    @ui.page("/documents", title="Latents")
    async def documents_page(client: Client) -> None:
        link = await frame.opened_at()
        if shown.documents is None:
            frame.absent("documents", shown.name, _why(shown, "clustering"))
            return
        page = opened[client.id] = documents.DocumentsPage(shown.documents, shown.name)
        client.on_delete(lambda: opened.pop(client.id, None))
        page.begin(link)

    @ui.page("/images", title="Latents")
    async def images_page() -> None:
        link = await frame.opened_at()
        if shown.images is None:
            frame.absent("images", shown.name, _why(shown, "pca"))
        else:
            images.ImagesPage(shown.images, shown.name).begin(link)

    @ui.page("/generate", title="Latents")
    async def generate_page() -> None:
        link = await frame.opened_at()
        if shown.generation is None:
            frame.absent("generate", shown.name, _why(shown, "cvae"))
        else:
            generate.GeneratePage(shown.generation, shown.name).begin(link)

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


def _first(shown: Shown) -> str:
    there = {"documents": shown.documents, "images": shown.images, "generate": shown.generation}
    return next((page for page, model in there.items() if model is not None), "documents")


def _why(shown: Shown, pipeline: str) -> str:
    return shown.lacking.get(pipeline, f"there is no model of the pipeline {pipeline}")
