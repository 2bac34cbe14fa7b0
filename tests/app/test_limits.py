"""What the web page takes from a visitor: bodies that come in time, are not too large, and hold files."""

import asyncio
import tempfile
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Gradio's own imports have to say
    pytest.importorskip("gradio", reason="the web page needs gradio")
    from helpers.app import limits as bodies
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

HEAD = b'--e\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
END = b"\r\n--e--\r\n"
FIELD = b'--e\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
LEAVES = {"type": "http.disconnect"}


@pytest.fixture
def post(tmp_path, monkeypatch):
    """`post(path, *parts)` → the status of the answer to a body in parts; a number among them is a wait in seconds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)

    async def take(request):
        parser = bodies.route_utils.GradioMultiPartParser
        try:
            form = await parser(request.headers, request.stream(), max_file_size=1000).parse()
        except bodies.MultiPartException as error:
            return JSONResponse(error.message, 400)
        assert {Path(file.file.name).parent for file in form.getlist("files")} == {tmp_path}
        return JSONResponse("taken")

    async def read(request):
        return JSONResponse(len(await request.body()))

    routes = [Route("/upload", take, methods=["POST"]), Route("/call", read, methods=["POST"])]
    app = Starlette(routes=routes, exception_handlers=bodies.BROKEN)
    app.add_middleware(bodies.BoundedBodies)

    def post(path, *parts):
        coming, sent = list(parts), []

        async def receive():
            if coming and not isinstance(coming[0], (bytes, dict)):
                await asyncio.sleep(coming.pop(0))
            part = coming.pop(0) if coming else LEAVES
            return part if part is LEAVES else {"type": "http.request", "body": part, "more_body": bool(coming)}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "http_version": "1.1",
                 "headers": [(b"content-type", b"multipart/form-data; boundary=e")]}  # fmt: skip
        asyncio.run(app(scope, receive, send))
        return sent[0]["status"]

    return post


@pytest.mark.parametrize("status, parts", [
    (200, (HEAD, b"x", END)),
    (400, (HEAD, b"x", LEAVES)),
    (400, (HEAD + b"x" * 1001, END)),
    (400, (HEAD + b"x\r\n--e\r\nno head\x00\r\n\r\n", END)),
    (400, (FIELD, b"x", END)),
    (408, (HEAD, b"x", 5, END)),
    (408, (HEAD, *(0.05, b"x") * 100, END)),
], ids=["whole", "left", "too large", "broken", "no file", "stuck", "slow"])  # fmt: skip
def test_an_upload_leaves_no_temporary_file_whatever_becomes_of_it(post, status, parts, tmp_path):
    assert post("/upload", *parts) == status
    assert list(tmp_path.iterdir()) == []


def test_large_bodies_may_take_longer_and_what_names_files_only_may_not_be_large(post, monkeypatch):
    monkeypatch.setattr(bodies, "SLOWEST", 100)
    monkeypatch.setattr(bodies, "MOST_OF_CALL", 200)
    assert post("/call", b"x" * 100, 0.5, b"x" * 100) == 200
    assert post("/call", b"x" * 10, 0.5, b"x" * 100) == 408
    assert post("/call", b"x" * 100, b"x" * 101) == 413
