"""The web page as a process, and what a browser does on it, without a browser: Gradio's own requests."""

import asyncio
import io
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image
from support import ROOT

MULTIPART, JSON = "Content-Type: multipart/form-data; boundary=e", "Content-Type: application/json"
FORM, CHUNKED = "Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked"
PATIENCE = 10  # seconds that the server of these tests gives a body; 30 otherwise
SERVER = f"""
import sys
from helpers.app import __main__ as app
from helpers.app import limits as bodies
bodies.PATIENCE = {PATIENCE}
sys.exit(app.main(sys.argv[1:]))
"""


@contextmanager
def page_process(weights, temporary):
    """The command on a free port, its temporary files and its log in a folder; ended by SIGTERM, if it still runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(temporary)}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, "-c", SERVER, "--weights", str(weights), "--port", str(port)]
    others = set(Path(temporary).glob("portrait-page-*"))
    log = Path(temporary) / f"{port}.log"
    with open(log, "w") as errors, subprocess.Popen(command, cwd=ROOT, env=environment, text=True,
                                                    stdout=subprocess.PIPE, stderr=errors) as process:  # fmt: skip
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            running = psutil.Process(process.pid)
            (home,) = (Path(each) for each in Path(temporary).glob("portrait-page-*") if each not in others)
            yield SimpleNamespace(url=line.split()[0], port=port, popen=process, process=running, home=lambda: home,
                                  temporary=Path(temporary), log_text=log.read_text)  # fmt: skip
        finally:
            process.send_signal(signal.SIGTERM)


class Busy(Exception):
    """The queue is full, and the page says so."""


class Failed(Exception):
    """The server could not do what was asked, and says so."""


def connected(url):
    """A browser: a client of the page with cookies of its own, which asks no proxy."""
    # No connection is kept: a server may hang up on one just as the next request comes, and only browsers ask again.
    return httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=120, limits=httpx.Limits(max_keepalive_connections=0)
    )


class Tab:
    """One open tab of a browser, which is a session of its own on the page. Two tabs may share a `connected` client."""

    def __init__(self, client):
        self.client, self.session = client, secrets.token_hex(6)

    async def open(self):
        """Read the page's description, as its script does: which functions there are, and what calls them."""
        config = (await self.client.get("config")).raise_for_status().json()
        parts = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        functions = config["dependencies"]
        self.cut, self.batch = (
            next(each["id"] for each in functions if [parts[name], event] in each["targets"])
            for name, event in (("photo", "change"), ("start", "click"))
        )
        self.place = next(each["id"] for each in functions if each["trigger_after"] == self.cut)
        return self

    async def upload(self, name, data):
        """Upload a file; returns what the page calls it from then on."""
        answer = await self.client.post("gradio_api/upload", files={"files": (name, data)})
        return stored(*answer.raise_for_status().json())

    async def join(self, function, data):
        """Wait in line with a call; returns its number. Raises `Busy`."""
        body = {"fn_index": function, "data": data, "session_hash": self.session, "event_data": None}
        answer = await self.client.post("gradio_api/queue/join", json=body)
        if answer.status_code == 503:
            raise Busy(answer.json()["detail"])
        return answer.raise_for_status().json()["event_id"]

    async def messages(self):
        """What the server tells this tab about its calls, as it comes."""
        stream = self.client.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session})
        async with stream as answer:
            async for line in answer.raise_for_status().aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    async def call(self, function, data):
        """Call one of the page's functions; returns what it gives. Raises `Busy` and `Failed`."""
        number, output = await self.join(function, data), None
        async for message in self.messages():
            if message["msg"] == "process_completed" and message["event_id"] == number:
                output = message
        if not output or not output["success"]:
            raise Failed(output and output["output"]["error"])
        return output["output"]["data"]

    async def cut_out(self, file):
        """Give the page an uploaded photo; returns the PNG. Raises `Failed` with the page's note if there is none."""
        _, _, _, note = await self.call(self.cut, [file, None])
        if note["value"]:
            raise Failed(note["value"])
        return await self.placed("Transparent")

    async def placed(self, kind, colour="#2a6f97"):
        """Put the photo of this tab on a background; returns the PNG, None if there is no photo."""
        _, _, button, _ = await self.call(self.place, [None, kind, colour, None])
        return button["value"] and (await self.client.get(button["value"]["url"])).raise_for_status().content


def stored(path):
    """What the page calls a file on the server."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def pixels(data):
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


class Crowd:
    """Visitors who use the page until a time, and what came of it.

    `counts`, `errors` in words, the words of `refusals`, and the `longest` queue and largest `memory` of ten looks a
    second: between two looks both can have been larger.
    """

    def __init__(self, page, photos, seconds):
        self.page, self.photos, self.end = page, photos, time.monotonic() + seconds
        self.counts, self.errors, self.refusals, self.longest, self.memory = Counter(), [], set(), 0, 0

    async def all(self, *others):
        """Everybody at once, and `others`; returns what those return."""
        watching = asyncio.create_task(self.watch())
        try:
            visitors = (self.visitor(number) for number in range(len(self.photos)))
            return (await asyncio.gather(*visitors, *others))[len(self.photos) :]
        finally:
            watching.cancel()

    async def watch(self):
        async with connected(self.page.url) as client:
            while True:
                status = (await client.get("gradio_api/queue/status")).json()
                self.longest = max(self.longest, status["queue_size"])
                self.memory = max(self.memory, self.page.process.memory_info().rss)
                await asyncio.sleep(0.1)

    async def visitor(self, number):
        """Cuts out a photo again and again, at least once; now and then leaves in the middle and comes back."""
        (data, expected), chance, served = self.photos[number], random.Random(number), 0
        async with connected(self.page.url) as client:
            while time.monotonic() < self.end or not (served or self.errors):
                try:
                    tab = await Tab(client).open()
                    if chance.random() < 0.1:
                        await self.leave_while_uploading(client, data)
                    file = await tab.upload("me.png", data)
                    if chance.random() < 0.1:
                        await self.leave_the_queue(tab, file)
                        continue
                    got = pixels(await tab.cut_out(file))
                    assert np.array_equal(got, expected), f"visitor {number} got another cutout"
                    self.counts["served"] += 1
                    served += 1
                except Busy as reason:
                    self.refusals.add(str(reason))
                    self.counts["refused"] += 1
                    await asyncio.sleep(chance.uniform(0.1, 0.5))
                except httpx.TransportError as error:
                    self.errors.append(f"{error!r} of {error.request.method} {error.request.url.path}")
                except Exception as error:
                    self.errors.append(repr(error))

    async def leave_while_uploading(self, client, data):
        async def half():
            yield b'--e\r\nContent-Disposition: form-data; name="files"; filename="half.png"\r\n\r\n' + data[:100]
            raise InterruptedError

        with pytest.raises(InterruptedError):
            await client.post("gradio_api/upload", content=half(),
                              headers={"Content-Type": "multipart/form-data; boundary=e"})  # fmt: skip
        self.counts["left"] += 1

    async def leave_the_queue(self, tab, file):
        await tab.join(tab.cut, [file, None])
        messages = tab.messages()
        await anext(messages)
        await messages.aclose()
        self.counts["left"] += 1


async def dribble(page):
    """Upload a byte now and then until the server has had enough; returns the status that it answers with."""
    loop = asyncio.get_running_loop()
    # a plain socket: the server hangs up on unread bytes, and a stream would throw the answer away with that error
    with socket.create_connection(("127.0.0.1", page.port)) as visitor:
        visitor.setblocking(False)
        head = ("POST /gradio_api/upload HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 1000000",
                "Content-Type: multipart/form-data; boundary=e", "", "--e",
                'Content-Disposition: form-data; name="files"; filename="slow.png"', "", "x")  # fmt: skip
        await loop.sock_sendall(visitor, "\r\n".join(head).encode())
        answer = asyncio.create_task(loop.sock_recv(visitor, 100))
        while not answer.done():
            with suppress(ConnectionError):
                await loop.sock_sendall(visitor, b"x")
            await asyncio.wait([answer], timeout=0.5)
        return int(answer.result().split()[1])


def form(data, name=b"photo.png", field=b"files"):
    """The body of an upload."""
    disposition = b'Content-Disposition: form-data; name="%s"; filename="%s"' % (field, name)
    return b"--e\r\n" + disposition + b"\r\n\r\n" + data + b"\r\n--e--\r\n"


async def raw(page, request, path, body=b"", *headers, length=None, ends=False):
    """Send what no browser would send: the status of the answer and its body; None for a connection without answer.

    With `ends`, the visitor hangs up half-way.
    """
    lines = [f"{request} /{path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    if CHUNKED not in headers:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        if ends:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:  # the server has hung up before it had read all
        return None, b""
    finally:
        writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), rest) if head else (None, b"")
