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
def test_an_upload_leaves_no_temporary_file_whatever_becomes_of_it(post, status, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.2 if status == 408 else 60)  # a busy machine is slow, too
    assert post("/upload", *parts) == status
    assert list(tmp_path.iterdir()) == []


def test_large_bodies_may_take_longer_and_what_names_files_only_may_not_be_large(post, monkeypatch):
    monkeypatch.setattr(bodies, "MOST_OF_CALL", 200)
    monkeypatch.setattr(bodies, "SLOWEST", 1)
    assert post("/call", b"x" * 100, 0.5, b"x" * 100) == 200
    monkeypatch.setattr(bodies, "SLOWEST", 100)
    assert post("/call", b"x" * 10, 0.5, b"x" * 100) == 408
    monkeypatch.setattr(bodies, "PATIENCE", 60)
    assert post("/call", b"x" * 100, b"x" * 101) == 413


# -------------------------------------------------------------------------------------------------------------- logins


class Login:
    """A page that knows one password, behind `SlowLogins` and with a clock of its own."""

    def __init__(self):
        self.now, self.tried = 0.0, 0
        self.app = bodies.SlowLogins(self.answer, lambda: self.now)

    async def answer(self, scope, receive, send):
        self.tried += 1
        await JSONResponse("", 200 if await receive() == b"right" else 400)(scope, receive, send)

    def post(self, password, address="10.0.0.1", path="/login", method="POST"):
        """The status of the answer, and the seconds that it asks to wait."""
        sent = []

        async def receive():
            return password

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "client": (address, 1), "headers": []}
        asyncio.run(self.app(scope, receive, send))
        waits = [int(value) for name, value in sent[0]["headers"] if name == b"retry-after"]
        return (sent[0]["status"], *waits)


def test_wrong_passwords_wait_longer_and_longer_and_the_right_one_ends_it():
    page = Login()
    assert [page.post(password) for password in (b"wrong", b"wrong", b"right")] == [(400,), (400,), (200,)]
    for _ in range(bodies.FREE):
        assert page.post(b"wrong") == (400,)
    for wait in (2, 4, 8, 16, 32, 60, 60):
        assert page.post(b"wrong") == (400,)
        tried = page.tried
        assert page.post(b"right") == (429, wait)
        page.now += wait - 0.5
        assert page.post(b"right", path="/login/") == (429, 1)
        assert page.tried == tried
        page.now += 0.5
    assert page.post(b"right") == (200,)
    assert page.post(b"wrong") == (400,)
    assert page.post(b"wrong") == (400,)


def test_only_the_one_who_guesses_waits():
    page = Login()
    for _ in range(bodies.FREE + 1):
        page.post(b"wrong", "2001:db8::1")
    assert page.post(b"right", "2001:db8::ffff")[0] == 429  # the same network
    assert page.post(b"right", "2001:db8:1::1") == page.post(b"right", "10.0.0.2") == (200,)
    assert page.post(b"", "2001:db8::1", "/config") == page.post(b"", "2001:db8::1", method="GET") == (400,)


def test_many_attempts_at_once_are_no_way_around():
    page = Login()

    async def together():
        unanswered = asyncio.Event()

        async def answer(scope, receive, send):
            page.tried += 1
            await unanswered.wait()
            await JSONResponse("", 400)(scope, receive, send)

        async def send(message):
            statuses.append(message.get("status"))

        app, statuses = bodies.SlowLogins(answer), []
        scope = {"type": "http", "method": "POST", "path": "/login", "client": ("10.0.0.1", 1), "headers": []}
        attempts = [asyncio.create_task(app(scope, None, send)) for _ in range(50)]
        await asyncio.sleep(0)
        unanswered.set()
        await asyncio.gather(*attempts)
        return statuses

    assert asyncio.run(together()).count(429) == 50 - bodies.FREE - 1
    assert page.tried == bodies.FREE + 1


def test_addresses_without_end_take_no_memory(monkeypatch):
    monkeypatch.setattr(bodies, "ADDRESSES", 10)
    page = Login()
    for number in range(50):
        page.post(b"wrong", f"10.0.0.{number}")
    assert len(page.app.wrong) == 10
