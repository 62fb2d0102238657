"""Who may ask: programs of this machine that mean this page, and no other page in the same browser."""

from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 2**25  # bytes; files of texts are smaller
# All that a page needs comes from this server: nothing is loaded from elsewhere, or sent there.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; frame-ancestors 'none'; "
    "form-action 'none'; base-uri 'self'"
)


class Guard:
    """Lets requests through that are for this server and from a page of it, and bodies up to a size.

    A page of another address may send requests to this machine, or give its own name this machine's address
    (DNS rebinding): the headers ``Origin`` and ``Host`` tell.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        What this server is called, ports included.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._origins = frozenset(f"http://{host}" for host in hosts)
        sockets = " ".join(sorted(f"ws://{host}" for host in hosts))
        self._policy = _POLICY.format(sockets=sockets).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get(b"host") not in self._hosts:
            await self._refuse(
                scope, receive, send, 421, "this server is for programs of its own machine alone"
            )
            return
        if headers.get(b"origin", "http://" + headers[b"host"]) not in self._origins:
            await self._refuse(scope, receive, send, 403, "this server answers its own pages alone")
            return
        size = headers.get(b"content-length", "0")
        if (
            not size.isdecimal()
            or len(size) > len(str(LARGEST_BODY))
            or int(size) > LARGEST_BODY
            or b"transfer-encoding" in headers
        ):
            reason = f"a request has at most {LARGEST_BODY // 2**20} MiB, and says how many"
            await self._refuse(scope, receive, send, 413, reason)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = [
                    (b"content-security-policy", self._policy),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message = {**message, "headers": [*message.get("headers", []), *told]}
            await send(message)

        await self._app(scope, receive, with_policy)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
            return
        await PlainTextResponse(reason, status_code=status)(scope, receive, send)
