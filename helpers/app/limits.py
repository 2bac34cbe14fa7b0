"""Limits for visitors: the size and speed of what they send, that uploads hold only files, and wrong passwords."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import ip_network
from math import ceil
from pathlib import Path
from typing import Any

from gradio import route_utils
from python_multipart.exceptions import FormParserError  # of what Gradio is built on, as is Starlette
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.app.desk import MAX_BYTES, MAX_PHOTOS

MOST_OF_UPLOAD = MAX_PHOTOS * (MAX_BYTES + 10_000)  # bytes of the body: all photos of a batch, and their names
MOST_OF_CALL = 1_000_000  # bytes of any other body: these name files, and hold none
PATIENCE = 30  # seconds that any body may take
FREE = 3  # wrong passwords without a wait
LONGEST = 60  # seconds until the next password is taken
ADDRESSES = 10_000  # whose wrong passwords are remembered
SLOWEST = 10_000  # bytes a second that larger ones must come at

_uploading: ContextVar[list[Any]] = ContextVar("temporary files of the upload at hand")


class BoundedBodies:
    """An ASGI middleware that refuses bodies which are too large or too slow, and leaves no file of a failed upload.

    Servers wait for the rest of a body for ever, and Gradio forgets the files that it had begun.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        files: list[Any] = []
        token = _uploading.set(files)
        try:
            await self.app(scope, _bounded(receive, scope["path"]), send)
        finally:
            _uploading.reset(token)
            for file in files:
                file.close()
                Path(file.name).unlink(missing_ok=True)  # of a whole upload, it has gone to its place


def _bounded(receive, path):
    """A `receive` for the body of a request: raises HTTPException 408 or 413."""
    most = MOST_OF_UPLOAD if path.rstrip("/").endswith("/upload") else MOST_OF_CALL
    begin, come, is_whole = None, 0, False

    async def bounded():
        nonlocal begin, come, is_whole
        if is_whole:  # what still may come is the visitor's leaving
            return await receive()
        begin = begin or time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), begin + PATIENCE + come / SLOWEST - time.monotonic())
        except TimeoutError:
            raise HTTPException(408, "too slow", {"Connection": "close"}) from None
        come += len(message.get("body", b""))
        is_whole = not message.get("more_body")
        if come > most:
            raise HTTPException(413, f"larger than {most} bytes", {"Connection": "close"})
        return message

    return bounded


class SlowLogins:
    """An ASGI middleware that slows down the guessing of passwords.

    An address may send `FREE` wrong passwords. After each further one its attempts are refused for a time, which
    doubles from 2 seconds up to `LONGEST`. The right password sets the count back. Refused passwords are not tried.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic):
        self.app, self.clock = app, clock
        self.wrong: dict[str, tuple[int, float]] = {}  # by address: how many, and until when no other is taken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].rstrip("/").endswith("/login"):
            return await self.app(scope, receive, send)
        address, now = _network_of(scope), self.clock()
        count, until = self.wrong.pop(address, (0, 0.0))
        if now < until:
            self.wrong[address] = count, until
            headers = {"Retry-After": str(ceil(until - now))}
            answer = PlainTextResponse("too many wrong passwords; wait and try again", 429, headers)
            return await answer(scope, receive, send)
        wait = min(2 ** min(count + 1 - FREE, 30), LONGEST) if count >= FREE else 0
        self.wrong[address] = count + 1, now + wait  # now: others may come before it is answered
        while len(self.wrong) > ADDRESSES:
            del self.wrong[next(iter(self.wrong))]

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self.wrong.pop(address, None)
            await send(message)

        await self.app(scope, receive, watched)


def _network_of(scope: Scope) -> str:
    """The visitor's address; of IPv6 the network of 64 bits, in which one visitor may use all addresses."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        return str(ip_network((host, 64 if ":" in host else 32), strict=False))
    except ValueError:  # no address, as of a socket in the file system
        return host


class _FilesOnly(route_utils.GradioMultiPartParser):
    """Gradio's reader of uploads. Alone it would keep other fields of a form in memory, whatever their size."""

    def on_headers_finished(self):
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("only files are taken here")
        files = _uploading.get(None)
        if files is not None:
            files.append(self._current_part.file.file)


route_utils.GradioMultiPartParser = _FilesOnly  # type: ignore[misc]  # Gradio looks for its class there


def _broken(request, error):
    return PlainTextResponse("not a whole form", 400)


BROKEN = {FormParserError: _broken, ClientDisconnect: _broken}
"""Exception handlers: a broken upload is the visitor's error, not the server's."""
