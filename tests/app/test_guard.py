"""Who is answered: requests for this server and from its own pages, of bodies up to a size."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from latents.app.guard import LARGEST_BODY, Guard

HOSTS = ["127.0.0.1:7860", "localhost:7860"]
OWN = {"host": HOSTS[0]}


async def n_bytes(request):
    return PlainTextResponse(str(len(await request.body())), headers={"x-own": "kept"})


async def greet(socket):
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


GUARDED = Guard(
    Starlette(
        routes=[Route("/", n_bytes, methods=["GET", "POST"]), WebSocketRoute("/", greet)],
    ),
    HOSTS,
)


def sent_by(kind, headers, *received):
    """Return what is sent to who asks with these headers, and sends these messages."""
    waiting, sent = list(received), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    told = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "path": "/", "query_string": b"", "headers": told}
    scope |= {"method": "POST"} if kind == "http" else {"subprotocols": []}
    asyncio.run(GUARDED(scope, receive, send))
    return sent


def answer(headers, body=b""):
    """Return status, headers and text of an answer."""
    start, *rest = sent_by("http", headers, {"type": "http.request", "body": body, "more_body": False})
    text = b"".join(message["body"] for message in rest).decode()
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, text


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("origin", [None, *HOSTS])
def test_own_pages_and_programs_of_the_machine_are_answered(host, origin):
    headers = {"host": host} | ({} if origin is None else {"origin": f"http://{origin}"})
    assert answer({**headers, "content-length": "5"}, b"hello")[::2] == (200, "5")
    sent = sent_by("websocket", headers, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == "hello"


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 421, "this server is for programs of its own machine alone"),
        ({"host": "example.org"}, 421, "this server is for programs of its own machine alone"),
        ({"host": "example.org:7860", "origin": f"http://{HOSTS[0]}"}, 421, "this server is for programs"),
        ({"host": "127.0.0.1"}, 421, "this server is for programs"),
        ({"host": "127.0.0.1:7861"}, 421, "this server is for programs"),
        ({**OWN, "origin": "http://example.org"}, 403, "this server answers its own pages alone"),
        ({**OWN, "origin": f"https://{HOSTS[0]}"}, 403, "this server answers its own pages alone"),
        ({**OWN, "origin": "http://127.0.0.1:7861"}, 403, "this server answers its own pages alone"),
        (
            {**OWN, "origin": "http://127.0.0.1:7860.example.org"},
            403,
            "this server answers its own pages alone",
        ),
        ({**OWN, "origin": "null"}, 403, "this server answers its own pages alone"),
        ({**OWN, "origin": ""}, 403, "this server answers its own pages alone"),
    ],
)
def test_other_hosts_and_origins_are_refused_over_http_and_websockets(headers, status, said):
    found, _, text = answer(headers)
    assert found == status
    assert text.startswith(said)
    (closed,) = sent_by("websocket", headers, {"type": "websocket.connect"})
    assert (closed["type"], closed["code"], closed["reason"]) == ("websocket.close", 1008, text)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": str(LARGEST_BODY + 1)},
        {"content-length": "9" * 20},
        {"content-length": "9" * 5000},  # which Python makes no number of
        {"content-length": "0" * 5000},
        {"content-length": "-1"},
        {"content-length": "many"},
        {"content-length": "\N{SUPERSCRIPT TWO}"},
        {"content-length": ""},
        {"transfer-encoding": "chunked"},
        {"content-length": "1", "transfer-encoding": "chunked"},
    ],
)
def test_bodies_that_are_too_large_or_do_not_say_how_large_are_refused_unread(headers):
    (start, *_) = sent_by("http", {**OWN, **headers})  # nothing is there to be read
    assert start["status"] == 413
    assert answer({**OWN, **headers})[2] == "a request has at most 32 MiB, and says how many"


def test_the_largest_body_is_taken():
    headers = {**OWN, "content-length": str(LARGEST_BODY)}
    assert answer(headers, bytes(LARGEST_BODY))[::2] == (200, str(LARGEST_BODY))


def test_answers_have_the_headers_of_the_policy_beside_their_own():
    headers = answer(OWN)[1]
    assert headers["x-own"] == "kept"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    directives = dict(
        directive.strip().split(" ", 1) for directive in headers["content-security-policy"].split(";")
    )
    assert directives["default-src"] == "'self'"
    assert directives["connect-src"].split() == ["'self'", *(f"ws://{host}" for host in HOSTS)]
    assert directives["frame-ancestors"] == directives["form-action"] == "'none'"
    allowed = {source for sources in directives.values() for source in sources.split()}
    known = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert allowed - known == {f"ws://{host}" for host in HOSTS}  # no other server's


def test_the_beginning_and_end_of_the_server_pass():
    received = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = sent_by("lifespan", {}, *received)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
