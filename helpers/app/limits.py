"""What the web page takes from a visitor: bodies of requests that come in time, are not too large, and hold files."""

import asyncio
import time
from contextvars import ContextVar
from pathlib import Path

from gradio import route_utils
from python_multipart.exceptions import FormParserError  # of what Gradio is built on, as is Starlette
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from helpers.app.desk import MAX_BYTES, MAX_PHOTOS

MOST_OF_UPLOAD = MAX_PHOTOS * (MAX_BYTES + 10_000)  # bytes of the body: all photos of a batch, and their names
MOST_OF_CALL = 1_000_000  # bytes of any other body: these name files, and hold none
PATIENCE = 30  # seconds that any body may take
SLOWEST = 10_000  # bytes a second that larger ones must come at

_uploading = ContextVar("temporary files of the upload at hand")


class BoundedBodies:
    """An ASGI middleware that refuses bodies which are too large or too slow, and leaves no file of a failed upload.

    Servers wait for ever for the rest of a body, and Gradio forgets what it had written of it by then.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        files = []
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


class _FilesOnly(route_utils.GradioMultiPartParser):
    """Gradio's reader of uploads, which would keep in memory, of any size, what else there is in a form."""

    def on_headers_finished(self):
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("only files are taken here")
        files = _uploading.get(None)
        if files is not None:
            files.append(self._current_part.file.file)


route_utils.GradioMultiPartParser = _FilesOnly


def _broken(request, error):
    return PlainTextResponse("not a whole form", 400)


BROKEN = {FormParserError: _broken, ClientDisconnect: _broken}
"""Exception handlers: a broken upload is the visitor's mistake, not the server's."""
