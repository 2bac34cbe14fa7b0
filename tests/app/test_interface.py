import asyncio
import http.cookiejar
import importlib
import json
import re
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from fake_matter import LeftHalf
from PIL import Image, ImageCms, ImageOps
from support import ROOT, add_chunks, draw_portrait, serving

from helpers.app import desk as uploads
from helpers.app.desk import LIMITS, MAX_BYTES, Desk, Refused
from helpers.cutout import load_matter, over
from helpers.files.colour_profiles import in_srgb
from helpers.files.photos import open_photo

COUNTED = """
import sys
from helpers.app import __main__ as app
from helpers.cutout import matter

def counted(self, photo, cutout=matter.Matter.cutout):
    with open(sys.argv[1], "a") as file:
        file.write(".")
    return cutout(self, photo)

matter.Matter.cutout = counted
sys.exit(app.main(sys.argv[2:]))
"""
"""The command, which leaves a dot in a file whenever it asks its network."""


@pytest.fixture(scope="module")
def app():
    """The module, if Gradio is there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Gradio's own imports have to say
        pytest.importorskip("gradio", reason="the web page needs gradio")
        from helpers.app import interface as app
    return app


@pytest.fixture(scope="module")
def server(app, random_weights, tmp_path_factory):
    """The page on a free port of this computer: its `url`, its folder, how often its network was `asked`."""
    temporary = tmp_path_factory.mktemp("server")
    dots = temporary / "dots"
    dots.touch()
    with serving(("-c", COUNTED, str(dots)), weights=random_weights, temporary=temporary) as (_, url):
        yield SimpleNamespace(url=url, temporary=temporary, asked=lambda: dots.stat().st_size)


@pytest.fixture(scope="module")
def matter(random_weights):
    """What the server cuts out with."""
    return load_matter(random_weights, "cpu")


class Visitor:
    """Somebody with a browser of their own, on the page."""

    def __init__(self, chromium, url):
        self.context = chromium.new_context()
        self.tab, self.requests = self.context.new_page(), []
        self.tab.set_default_timeout(60_000)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(url)

    def give(self, place, *paths):
        self.tab.set_input_files(f"{place} input[type=file]", [str(path) for path in paths])

    def take(self, button, folder):
        """What a download button gives, as a file in `folder`."""
        self.tab.wait_for_selector(f"{button}:not([disabled])")
        with self.tab.expect_download() as waiting:
            self.tab.click(button)
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def choose(self, background):
        """Choose a background and wait until the cutout is shown on it."""
        before = self.shown()
        self.tab.get_by_label(background, exact=True).first.check()
        self.until_other_than(before)

    def shown(self):
        return self.tab.get_attribute("#cutout img", "src")

    def until_other_than(self, before):
        self.tab.wait_for_function("before => document.querySelector('#cutout img').src != before", arg=before)

    def sizes(self, *places):
        """[width, height] of all pictures in these places, once they are loaded."""
        pictures = f"[...document.querySelectorAll('{','.join(f'{place} img' for place in places)}')]"
        self.tab.wait_for_function(f"{pictures}.every(picture => picture.complete)")
        return self.tab.evaluate(f"{pictures}.map(picture => [picture.naturalWidth, picture.naturalHeight])")

    def note(self, text):
        """The note on the page as soon as it holds this text."""
        self.tab.wait_for_function(
            "text => [...document.querySelectorAll('#note textarea')].some(note => note.value.includes(text))", arg=text
        )
        return self.tab.input_value("#note textarea")


@pytest.fixture
def visit(chromium, server):
    """`visit()` → a new `Visitor`. In the end none of them has asked any other computer for anything."""
    visitors = []

    def come():
        visitors.append(Visitor(chromium, server.url))
        return visitors[-1]

    yield come
    asked = [url for visitor in visitors for url in visitor.requests]
    for visitor in visitors:
        visitor.context.close()
    assert asked
    assert {urllib.parse.urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {
        urllib.parse.urlsplit(server.url).netloc
    }


@pytest.fixture
def photo(tmp_path):
    return save_portrait(tmp_path / "in" / "My photo.v2.jpg", 0)


def save_portrait(path, seed):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(draw_portrait(np.random.default_rng(seed))[0]).save(path)
    return path


def pixels(picture):
    if isinstance(picture, Image.Image):
        return np.asarray(picture)
    with Image.open(picture) as opened:
        return np.asarray(opened)


def same_cutout(path, photo, matter):
    """Whether a file holds what Python makes of a photo, without the colours of what is wholly transparent."""
    expected = np.array(matter.cutout(open_photo(photo)))
    expected[expected[..., 3] == 0] = 0
    return np.array_equal(pixels(path), expected)


def test_the_png_is_pythons_cutout_and_a_new_background_asks_no_network(visit, server, matter, photo, tmp_path):
    visitor, asked = visit(), server.asked()
    assert LIMITS in visitor.tab.inner_text("#limits")
    visitor.give("#photo", photo)
    path = visitor.take("#save", tmp_path)
    assert path.name == "My photo.v2_cutout.png"
    assert pixels(path).shape[2] == 4
    assert same_cutout(path, photo, matter)

    cutout = Image.fromarray(pixels(path))
    assert visitor.sizes("#original", "#alpha", "#cutout", "#slider") == [list(cutout.size)] * 5
    visitor.choose("White")
    assert np.array_equal(pixels(visitor.take("#save", tmp_path)), pixels(over(cutout, "white")))
    visitor.choose("Colour")
    assert np.array_equal(pixels(visitor.take("#save", tmp_path)), pixels(over(cutout, "#2a6f97")))
    visitor.choose("Blurred")
    blurred = pixels(visitor.take("#save", tmp_path))
    assert blurred.shape == (*cutout.size[::-1], 3)
    visitor.choose("Picture")  # none yet: transparent
    backdrop = save_portrait(tmp_path / "in" / "backdrop.png", 1)
    before = visitor.shown()
    visitor.give("#picture", backdrop)
    visitor.until_other_than(before)
    fitted = ImageOps.fit(Image.fromarray(pixels(backdrop)), cutout.size)
    assert np.array_equal(pixels(visitor.take("#save", tmp_path)), pixels(over(cutout, fitted)))
    visitor.choose("Transparent")
    assert same_cutout(visitor.take("#save", tmp_path), photo, matter)
    assert server.asked() == asked + 1


def test_everybody_gets_their_own_photo(visit, matter, tmp_path):
    photos = [save_portrait(tmp_path / folder / "me.png", seed) for seed, folder in enumerate(("one", "two"))]
    first, second = visit(), visit()
    for visitor, photo in zip((first, second), photos, strict=True):
        visitor.give("#photo", photo)
        visitor.tab.wait_for_selector("#save:not([disabled])")
    for visitor, photo in zip((first, second), photos, strict=True):
        assert same_cutout(visitor.take("#save", tmp_path), photo, matter)
    third = visit()
    assert third.tab.is_disabled("#save")
    assert third.tab.locator("#cutout img").count() == 0


def test_the_page_refers_to_no_other_server_and_browsers_would_not_load_from_one(visit, server):
    html = answer(server.url)[1].decode()
    assert "<script" in html
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*https?://[^>]*>", html) == []
    visitor = visit()
    violated = visitor.tab.evaluate("""() => new Promise(resolve => {
        document.addEventListener("securitypolicyviolation", event => resolve(event.blockedURI));
        new Image().src = "https://example.org/picture.png";
    })""")
    assert violated == "https://example.org/picture.png"
    visitor.requests.remove(violated)  # this test asked, not the page


def test_a_batch_is_one_zip_and_names_what_is_not_in_it(visit, matter, tmp_path):
    good = [save_portrait(tmp_path / "in" / name, seed) for seed, name in enumerate(("a.jpg", "A.png", "b.c.webp"))]
    broken = tmp_path / "in" / "broken.jpg"
    broken.write_bytes(good[0].read_bytes()[:200])
    visitor = visit()
    visitor.tab.get_by_role("tab", name="Several photos").click()
    visitor.give("#photos", good[0], broken, *good[1:])
    visitor.tab.wait_for_selector("#photos >> text=b.c")
    visitor.tab.click("#start")
    path = visitor.take("#save-all", tmp_path)
    with zipfile.ZipFile(path) as pack:
        assert pack.namelist() == ["a_cutout.png", "A_cutout-2.png", "b.c_cutout.png"]
        for name, photo in zip(pack.namelist(), good, strict=True):
            with pack.open(name) as file:
                assert same_cutout(file, photo, matter)
    report = visitor.tab.input_value("#report textarea")
    assert "3 of 4" in report
    assert "broken.jpg: not a readable picture" in report


def test_what_is_broken_or_too_large_is_refused_kindly_and_the_page_lives_on(visit, server, matter, photo, tmp_path):
    visitor, asked = visit(), server.asked()
    broken, huge, heavy = (tmp_path / name for name in ("broken.png", "huge.png", "heavy.jpg"))
    broken.write_bytes(b"no picture at all")
    Image.new("1", (10_000, 6_001)).save(huge)
    with open(heavy, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    visitor.give("#photo", broken)
    assert visitor.note("broken.png").startswith("broken.png: not a readable picture")
    assert visitor.tab.is_disabled("#save")
    visitor.tab.click("#photo button[aria-label='Clear']")
    visitor.give("#photo", huge)
    assert "60 megapixels" in visitor.note("huge.png")
    visitor.tab.click("#photo button[aria-label='Clear']")
    visitor.give("#photo", heavy)
    visitor.tab.wait_for_selector("text=/maximum allowed size/")
    assert server.asked() == asked
    visitor.give("#photo", photo)
    assert same_cutout(visitor.take("#save", tmp_path), photo, matter)
    assert visitor.tab.locator("#note textarea").count() == 0


NO_PROXY = urllib.request.ProxyHandler({})
STRANGER = urllib.request.build_opener(NO_PROXY)


def answer(url, data=None, opener=STRANGER, headers=None):
    """Status and body of what a server answers."""
    try:
        with opener.open(urllib.request.Request(url, data, headers or {}), timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def upload(url, data, opener=STRANGER):
    """Upload a file by hand, past what the page checks in the browser."""
    head = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    body = head + data + b"\r\n--edge--\r\n"
    return answer(f"{url}gradio_api/upload", body, opener, {"Content-Type": "multipart/form-data; boundary=edge"})


def test_the_server_itself_refuses_a_file_that_is_too_large(server):
    status, body = upload(server.url, b"a small one")
    assert status == 200
    assert answer(f"{server.url}gradio_api/file={json.loads(body)[0]}") == (200, b"a small one")
    assert upload(server.url, bytes(MAX_BYTES + 1))[0] == 413


def test_files_of_the_server_and_descriptions_for_programs_are_not_handed_out(server, random_weights):
    for path in (random_weights, server.temporary, ROOT / "README.md"):
        assert answer(f"{server.url}gradio_api/file={path}")[0] == 403
    assert answer(f"{server.url}openapi.json")[0] == 404
    assert json.loads(answer(f"{server.url}gradio_api/info")[1])["named_endpoints"] == {}
    config = json.loads(answer(f"{server.url}config")[1])
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []


@pytest.mark.parametrize("way", ["file=http://", "file=https://", "file/https://", "file=%68ttps:%2f%2f"])
def test_no_address_is_fetched_for_a_visitor_nor_is_one_sent_there(way, server):
    """Gradio's own answer, for what is no public address, has another text."""
    assert answer(f"{server.url}gradio_api/{way}127.0.0.1:9/x.png") == (403, b"only files of this page")


@pytest.mark.parametrize("host, alone", [
    ("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("", False), ("example.org", False),
])  # fmt: skip
def test_only_what_others_cannot_reach_needs_no_password(app, host, alone, capsys):
    from helpers.app.__main__ import main
    from helpers.app.local import is_loopback

    assert is_loopback(host) == alone
    if not alone:
        with pytest.raises(SystemExit) as ended:
            main(["--host", host])
        assert ended.value.code == 2
        assert "--password" in capsys.readouterr().err
        with pytest.raises(ValueError, match="password"):
            app.Page.launch(app.Page.__new__(app.Page), server_name=host)


@pytest.mark.parametrize("arguments, reason", [
    (["--port", "99999"], "a port is a number from 1 to 65535"), (["--photos", "nowhere"], "nowhere: no such folder"),
    (["--work", "w"], "--work is the work folder of --photos"),
])  # fmt: skip
def test_what_cannot_be_served_is_told_at_once(app, arguments, reason, capsys):
    from helpers.app.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_an_address_where_nothing_can_listen_is_told_with_the_way_out(app, capsys):
    from helpers.app.__main__ import main

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    line = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1, port {port} (" in line and "name another --port" in line
    assert main(["--host", "nowhere.invalid", "--password", "x"]) == 1
    assert "cannot listen on nowhere.invalid" in (line := capsys.readouterr().err) and "another --host" in line


def test_nothing_of_what_makes_the_page_safe_can_be_set_aside(app):
    for name, value in (("share", True), ("max_file_size", None), ("mcp_server", True)):
        with pytest.raises(TypeError, match=name):
            app.Page.launch(app.Page.__new__(app.Page), **{name: value})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:7860", "127.3.2.1", "[::1]:7860", "[::1]"])
def test_without_a_password_the_page_answers_under_every_name_of_this_computer(host, server):
    assert answer(f"{server.url}config", headers={"Host": host})[0] == 200


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example:80", "0.0.0.0:7860",
    "192.168.1.2:7860", "[::2]:7860", "",
])  # fmt: skip
def test_without_a_password_no_other_name_leads_to_the_page(host, server):
    """A web site whose name points to 127.0.0.1 would be one with the page for a browser: DNS rebinding."""
    for path, data in (("", None), ("config", None), ("gradio_api/queue/join", b"{}"), ("gradio_api/upload", b"")):
        status, body = answer(server.url + path, data, headers={"Host": host})
        assert status == 403
        assert b"PORTRAIT_PASSWORD" in body and b"page().launch(auth=" in body


@pytest.mark.parametrize(("origin", "status"), [
    ("http://evil.example", 403), ("http://localhost.evil.example:7860", 403), ("null", 403), ("", 403),
    ("http://127.0.0.1:7860", 200), ("http://localhost", 200), ("http://[::1]:1", 200),
])  # fmt: skip
def test_without_a_password_no_other_web_site_can_send_a_form(origin, status, server):
    """A browser sends it without asking first; 200: it came to Gradio."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert answer(f"{server.url}gradio_api/upload", b"--x--", headers={"Origin": origin} | kind)[0] == status


def test_the_start_and_the_end_of_the_server_come_through(app):
    """Gradio begins and ends there what deletes old files."""
    came = []

    async def inner(scope, receive, send):
        came.append(scope["type"])

    with ThreadPoolExecutor(1) as elsewhere:  # this thread may have an event loop that runs
        elsewhere.submit(asyncio.run, app.LocalNames(inner)({"type": "lifespan"}, None, None)).result()
    assert came == ["lifespan"]


def test_an_address_of_ipv6_is_served(random_weights, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this computer")
    with serving(("-m", "helpers.app", "--host", "::1"), weights=random_weights, temporary=tmp_path) as (_, url):
        assert url.startswith("http://[::1]:")
        assert answer(f"{url}config")[0] == 200


@pytest.mark.parametrize("auth, in_colab, is_guarded", [
    (None, False, True), (None, True, False), (("portrait", "s3cret"), False, False),
])  # fmt: skip
def test_behind_a_proxy_a_password_opens_the_page_and_colab_needs_none(app, auth, in_colab, is_guarded, monkeypatch):
    monkeypatch.setattr(app.gr.Blocks, "launch", lambda self, **settings: settings)
    monkeypatch.setattr(app.gr.utils, "colab_check", lambda: in_colab)
    settings = app.Page.__new__(app.Page).launch(auth=auth)
    assert (app.LocalNames in [each.cls for each in settings["app_kwargs"]["middleware"]]) == is_guarded


@pytest.mark.parametrize("host, has_photos, may_compile", [
    ("127.0.0.1", False, True), ("0.0.0.0", False, False), ("0.0.0.0", True, True),
])  # fmt: skip
def test_only_a_page_whose_photos_can_be_painted_may_compile_code(app, host, has_photos, may_compile, monkeypatch):
    monkeypatch.setattr(app.gr.Blocks, "launch", lambda self, **settings: settings)
    page = app.Page.__new__(app.Page)
    page.has_photos = has_photos
    settings = page.launch(server_name=host, auth=("portrait", "s3cret"))
    policy = settings["app_kwargs"]["middleware"][0].kwargs["policy"]
    assert policy.startswith(b"default-src 'self'") and (b"'unsafe-eval'" in policy) == may_compile


def test_the_command_asks_for_its_password_and_leaves_no_files(app, random_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTRAIT_PASSWORD", "s3cret")
    with serving(("-m", "helpers.app"), weights=random_weights, temporary=tmp_path) as (process, url):
        assert "s3cret" not in " ".join(process.args)
        assert answer(f"{url}config")[0] == 401
        assert answer(f"{url}config", headers={"Host": "photos.example"})[0] == 401
        assert upload(url, b"of a stranger")[0] == 401
        friend = urllib.request.build_opener(NO_PROXY, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        for password, status in (*[("guessed", 400)] * 4, ("s3cret", 429), ("guessed", 429)):
            form = urllib.parse.urlencode({"username": "portrait", "password": password}).encode()
            assert answer(f"{url}login", form)[0] == status
        time.sleep(2)
        form = urllib.parse.urlencode({"username": "portrait", "password": "s3cret"}).encode()
        assert answer(f"{url}login", form, friend)[0] == 200
        assert upload(url, b"of a friend", friend)[0] == 200
        assert [path.read_bytes() for path in tmp_path.rglob("a.jpg")] == [b"of a friend"]
    assert process.returncode == 0
    assert list(tmp_path.rglob("a.jpg")) == []
    assert list(tmp_path.glob("portrait-*")) == []


def test_the_password_comes_from_the_command_line_a_variable_or_who_types_it(app, monkeypatch, capsys):
    from helpers.app import __main__ as command

    asked = []
    monkeypatch.setattr(command, "getpass", lambda prompt: asked.append(prompt) or "typed")
    monkeypatch.delenv(command.PASSWORD, raising=False)
    assert command.password_of(None) is None
    monkeypatch.setenv(command.PASSWORD, "kept")
    assert command.password_of(None) == "kept"
    assert command.password_of("given") == "given"
    assert asked == []
    assert command.password_of(command.ASK) == "typed"
    assert asked == ["Password of user portrait: "]
    monkeypatch.setattr(command, "getpass", lambda prompt: "")
    for arguments in (["--password", ""], ["--password"]):  # the first as from a variable that is not set
        with pytest.raises(SystemExit) as ended:
            command.main(arguments)
        assert ended.value.code == 2
        assert "the password is empty" in capsys.readouterr().err


def test_requests_that_are_done_are_forgotten(app):
    async def process(events, *arguments):
        done.append((events, *arguments))

    done, numbers = [], range(app.REMEMBERED + 10)
    queue = SimpleNamespace(process_events=process, **{
        name: dict.fromkeys([*numbers, "waiting"]) for name in ("event_ids_to_events", "event_analytics")})  # fmt: skip
    app._forget_finished(queue)

    async def process_all():
        for number in numbers:
            await queue.process_events([SimpleNamespace(_id=number)], False, 0.0)

    with ThreadPoolExecutor(1) as elsewhere:  # Playwright has a loop running in this thread
        elsewhere.submit(asyncio.run, process_all()).result()
    assert len(done) == len(numbers)
    assert list(queue.event_ids_to_events) == list(queue.event_analytics) == [*numbers[10:], "waiting"]


def test_without_gradio_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "helpers.app.interface", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r'pip install -e "\.\[app\]"'):
        importlib.import_module("helpers.app.interface")


class Stuck(LeftHalf):
    """A network that gives no answer before it is `freed`."""

    def __init__(self):
        self.freed = threading.Event()

    def cutout(self, photo):
        assert self.freed.wait(60)
        return super().cutout(photo)


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Where a `Desk` of this test keeps its results."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_photo_that_takes_too_long_is_given_up_and_its_result_thrown_away(monkeypatch, home, photo):
    desk = Desk(Stuck())
    monkeypatch.setattr(uploads, "SECONDS", 0.05)
    for _ in range(2):  # one in work, one waiting
        with pytest.raises(Refused, match="My photo.v2.jpg: not done within 0.05 seconds"):
            desk.cut(photo)
    desk.matter.freed.set()
    monkeypatch.setattr(uploads, "SECONDS", 60)
    work = desk.cut(photo)
    assert list(home.iterdir()) == [work.folder]


def test_what_fails_says_so_without_a_traceback_and_the_log_has_it(home, photo, caplog):
    desk = Desk(SimpleNamespace(cutout=lambda photo: 1 / 0))
    with pytest.raises(Refused, match="My photo.v2.jpg: could not be cut out") as refused:
        desk.cut(photo)
    assert str(home) not in str(refused.value)
    assert "ZeroDivisionError" in caplog.text


def test_results_lie_where_only_this_user_can_look_and_go_with_their_photo(home, photo):
    desk = Desk(LeftHalf())
    first, second = desk.cut(photo), desk.cut(photo)
    assert first.folder != second.folder
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert len(first.folder.name) >= 22  # 128 random bits
    first.forget()
    assert list(home.iterdir()) == [second.folder]
    for _ in range(3):
        desk.place(second, "White")
    assert len(list(second.folder.rglob("*_cutout.png"))) == 2  # the transparent one, and the last
    photo.unlink()
    with pytest.raises(Refused, match="deleted from the server"):
        desk.place(second, "Blurred")


@pytest.mark.parametrize("sent, colour", [
    ("#00ff7f", (0, 255, 127)), ("rgba(0.4, 255, 127.2, 1)", (0, 255, 127)), ("rgb(300, 0, 1)", (255, 0, 1)),
    ("#0f7", (0, 255, 119)), ("teal", (0, 128, 128)), ("hsl(120, 100%, 25%)", (0, 128, 0)),
])  # fmt: skip
def test_colours_are_taken_as_browsers_send_them(home, photo, sent, colour):
    desk = Desk(LeftHalf())
    placed = pixels(desk.place(desk.cut(photo), "Colour", sent)[0])
    assert tuple(placed[0, -1]) == colour


def test_what_is_no_colour_is_named(home, photo):
    desk = Desk(LeftHalf())
    with pytest.raises(Refused, match="teal green: no colour; choose one, or type it as #rrggbb"):
        desk.place(desk.cut(photo), "Colour", "teal green")


def linear_png(path, picture):
    """A picture of linear light: its gAMA chunk says so."""
    picture.save(path)
    add_chunks(path, gAMA=struct.pack(">I", 100_000))


def test_the_preview_of_an_alpha_has_its_greys_whatever_the_photos_colours_mean(home, tmp_path):
    linear_png(tmp_path / "photo.png", Image.new("RGBA", (8, 6), (55, 55, 55, 128)))
    work = Desk(LeftHalf()).cut(tmp_path / "photo.png")
    with Image.open(work.cutout) as cutout, Image.open(work.alpha) as preview:
        assert cutout.getpixel((0, 0))[3] == 128
        assert abs(preview.getpixel((0, 0)) - 128) <= 1  # JPEG


def test_profile_and_resolution_stay_in_the_file(home, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 6), "teal").save(tmp_path / "photo.png", dpi=(300, 300), icc_profile=profile)
    desk = Desk(LeftHalf())
    work = desk.cut(tmp_path / "photo.png")
    for path in (work.cutout, desk.place(work, "White")[0]):
        with Image.open(path) as picture:
            assert picture.info["icc_profile"] == profile
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_the_first_frame_is_cut_out_and_the_page_says_so(home, tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    work = Desk(LeftHalf()).cut(tmp_path / "two.gif")
    assert "first is cut out" in work.note
    assert tuple(pixels(work.cutout)[0, 0]) == (255, 0, 0, 255)


def test_a_batch_that_is_too_large_or_has_nothing_in_it_gives_no_archive(home, tmp_path):
    desk = Desk(LeftHalf())
    archive, report = desk.cut_all(["photo.jpg"] * (uploads.MAX_PHOTOS + 1))
    assert archive is None
    assert f"at most {uploads.MAX_PHOTOS}" in report
    (tmp_path / "empty.jpg").touch()
    archive, report = desk.cut_all([tmp_path / "empty.jpg"])
    assert archive is None
    assert "empty.jpg" in report
    assert list(home.iterdir()) == []


def test_a_background_keeps_its_colours_and_hides_what_is_hidden(home, tmp_path):
    """The photo is of linear light; white on the page, where nothing of the picture is seen."""
    linear_png(tmp_path / "photo.png", Image.new("RGB", (8, 6), (55, 55, 55)))
    backdrop = Image.new("RGBA", (8, 6), (255, 0, 255, 0))
    backdrop.paste((230, 30, 30, 255), (0, 3, 8, 6))
    backdrop.save(tmp_path / "backdrop.png")
    desk = Desk(LeftHalf())
    work = desk.cut(tmp_path / "photo.png")
    with Image.open(work.original) as original:
        assert np.abs(np.subtract(original.getpixel((0, 0)), 128)).max() <= 2  # as a screen shows it
    for file in desk.place(work, "Picture", picture=tmp_path / "backdrop.png")[:1]:
        placed = open_photo(file)
        assert placed.getpixel((0, 0)) == (55, 55, 55)
        assert placed.getpixel((7, 0)) == (255, 255, 255)
        assert np.abs(np.subtract(in_srgb(placed).getpixel((7, 5)), (230, 30, 30))).max() <= 3


def test_a_photo_that_is_transparent_everywhere_is_refused_with_the_reason(home, tmp_path):
    Image.new("RGBA", (8, 6), (255, 0, 255, 0)).save(tmp_path / "photo.png")
    with pytest.raises(Refused, match=r"photo\.png: transparent everywhere"):
        Desk(LeftHalf()).cut(tmp_path / "photo.png")
