"""The web page under load and under attack: many visitors at once, hostile ones among them, and its sudden end."""

import asyncio
import io
import signal
import time

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from support import draw_portrait

from helpers.cutout import load_matter
from helpers.networks.registry import weights_out
from helpers.u2net import U2Net

pytest.importorskip("gradio", reason="the web page needs gradio")
from page_client import (  # noqa: E402
    CHUNKED,
    FORM,
    JSON,
    MULTIPART,
    Crowd,
    Failed,
    Tab,
    connected,
    dribble,
    form,
    page_process,
    pixels,
    raw,
    stored,
)  # fmt: skip

VISITORS = 50
SLOW = 20  # more, who upload a byte now and then
QUEUE = 20  # as helpers.app has it
THREADS = 40  # that Gradio's server keeps for later once it has needed them


@pytest.fixture(scope="module")
def weights(tiny, tmp_path_factory):
    """A weight file of a tiny network whose random alphas reach from 0 to 1."""
    torch.manual_seed(0)
    model = U2Net(tiny)
    with torch.no_grad():
        model.fuse.weight *= 1000
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    table = [list(stage) for stage in tiny]
    torch.save({"model_state_dict": weights_out(model), "table": table, "config": {"image_size": 64}}, path)
    return path


@pytest.fixture(scope="module")
def page(weights, tmp_path_factory):
    """The page as a process."""
    with page_process(weights, tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(scope="module")
def photos(weights):
    """[(PNG file, pixels of its cutout)] for all visitors, each with colours of their own."""
    matter = load_matter(weights, "cpu")
    return [with_cutout(matter, Image.fromarray(draw_portrait(np.random.default_rng(seed))[0]).resize((160, 200)))
            for seed in range(VISITORS)]  # fmt: skip


def with_cutout(matter, photo):
    expected = np.array(matter.cutout(photo))
    expected[expected[..., 3] == 0] = 0
    return as_png(photo), expected


def as_png(photo):
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    return stream.getvalue()


def handles(page):
    """Open files and sockets of the server."""
    return page.process.num_fds()


def settle(page, count, seconds=60):
    """Wait until the server has no more handles than `count`."""
    end = time.monotonic() + seconds
    while handles(page) > count:
        assert time.monotonic() < end, page.process.open_files() + page.process.net_connections()
        time.sleep(0.1)


def test_fifty_visitors_at_once_get_their_own_cutouts_or_are_told_that_it_is_full(page, photos, long, survived):
    async def load():
        await Crowd(page, photos[:5], 1).all()  # what is loaded at the first request, stays
        before.update(handles=handles(page), threads=page.process.num_threads(), memory=page.process.memory_info().rss)
        begin, crowd = time.monotonic(), Crowd(page, photos, 60 if long else 8)
        statuses = await asyncio.wait_for(crowd.all(*(dribble(page) for _ in range(SLOW))), 300)
        return crowd, statuses, time.monotonic() - begin

    before = {}
    crowd, statuses, seconds = asyncio.run(load())
    counts = crowd.counts
    assert crowd.errors == []
    assert counts["served"] >= VISITORS
    assert counts["refused"]
    assert counts["left"]
    assert crowd.refusals == {f"Queue is full. Max size is {QUEUE} and size is {QUEUE}."}
    assert crowd.longest <= QUEUE
    assert statuses == [408] * SLOW
    settle(page, before["handles"])
    assert page.process.num_threads() <= before["threads"] + THREADS
    grown = (crowd.memory - before["memory"]) / 1e6
    # Gradio's state of each tab, of 1000 at most; of photos, one is worked on at a time
    assert grown < 50 + 0.1 * sum(counts.values())
    assert "Traceback" not in page.log_text()
    assert [path for path in page.home().iterdir() if path.name.startswith("tmp") and path.stat().st_size] == []
    survived(f"{VISITORS} visitors of the web page at once for {seconds:.0f} s, {SLOW} more upload a byte now and then",
             f"{counts['served'] + counts['refused'] + counts['left']} requests",
             f"{counts['served']} served, each its own cutout; {counts['refused']} told that the queue of {QUEUE} "
             f"is full; {counts['left']} left in the middle; 0 errors; {SLOW} slow ones given up; "
             f"memory {grown:+.0f} MB at most, open files as before")  # fmt: skip


def test_the_memory_for_many_large_photos_is_that_of_one(page, photos, survived):
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8), np.ones((40, 40, 1), np.uint8))
    data = as_png(Image.fromarray(pixels))

    async def cut_out(client):
        tab = await Tab(client).open()
        await tab.call(tab.cut, [await tab.upload("large.png", data), None])

    async def peak(visitors):
        async with connected(page.url) as client:
            work, most = asyncio.gather(*(cut_out(client) for _ in range(visitors))), 0
            while not work.done():
                most = max(most, page.process.memory_info().rss)
                await asyncio.wait([work], timeout=0.005)
            await work
        return most

    before = page.process.memory_info().rss
    alone, together = asyncio.run(peak(1)) - before, asyncio.run(peak(6)) - before
    assert alone > 3 * pixels.nbytes  # it is the photo that is measured
    assert together < 1.5 * alone
    survived("six photos of 4.8 megapixels at once on the web page", 6,
             f"memory {together / 1e6:+.0f} MB; for one alone {alone / 1e6:+.0f} MB")  # fmt: skip


NAMES = (b"../../x.png", b"/etc/x.png", b"..\\..\\x.png", b"C:\\x.png", b"a\x00b.png", b"n" * 3000 + b".png", b"",
         b"..", b".", b"/", b"%2e%2e%2fx.png", b"\xff\xfe.png", "\u202egnp.exe".encode(), b"con", b".hidden",
         b"a\nb.png", b"~/x.png", b"$HOME/x.png")  # fmt: skip
BROKEN = {
    "no end": b"--e\r\n" + form(b"x" * 1000)[5:-9],
    "no head": form(b"x" * 1000 + b"\r\n--e\r\nnot a head\x00\r\n\r\nx"),
    "another field": form(b"x" * 1000, field=b"other"),
    "no file": b'--e\r\nContent-Disposition: form-data; name="files"\r\n\r\nx\r\n--e--\r\n',
    "empty form": b"--e--\r\n",
    "nothing": b"",
}


def loose_files(page):
    """Files with data in them that lie about in the folder of temporary files, not in folders of their own."""
    return [path for path in (*page.temporary.iterdir(), *page.home().iterdir())
            if path.is_file() and path.suffix != ".log" and path.stat().st_size]  # fmt: skip


def test_hostile_uploads_are_refused_and_leave_nothing(page, photos, survived):
    async def all_of_them():
        tried = 0
        # larger than the limits: told honestly, not at all, or falsely
        begin, million = form(b"")[:-9], bytes(1_000_000)
        chunks = [b"%X\r\n%b\r\n" % (len(part), part) for part in (begin, *[million] * 51)]
        for body, headers, length in ((form(million * 51), "Accept: */*", None), (b"".join(chunks), CHUNKED, None),
                                   (begin + million * 51, "Accept: */*", 10**12)):  # fmt: skip
            status, _ = await raw(page, "POST", "gradio_api/upload", body, MULTIPART, headers, length=length)
            assert status in (413, None)  # None: hung up on, in the midst of sending
            tried += 1
        call = b'{"data": ["' + b"x" * 1_100_000 + b'"], "fn_index": 0, "session_hash": "x"}'
        assert (await raw(page, "POST", "gradio_api/queue/join", call, JSON))[0] in (413, None)
        field = b'--e\r\nContent-Disposition: form-data; name="files"\r\n\r\n' + bytes(1_000_000)
        assert (await raw(page, "POST", "gradio_api/upload", field, MULTIPART))[0] in (400, None)
        tried += 2
        # a length that is not that of the body
        for length, ends in ((10, False), (2000, True)):
            await raw(page, "POST", "gradio_api/upload", form(b"x" * 1000), MULTIPART, length=length, ends=ends)
            tried += 1
        # no form, or a broken one
        for body in BROKEN.values():
            status, answer = await raw(page, "POST", "gradio_api/upload", body, MULTIPART)
            assert status in (400, 413) or (status == 200 and answer == b"[]")  # Gradios differ
            tried += 1
        for path, kinds in (("upload", (JSON, FORM, "Content-Type: multipart/form-data", "Accept: */*")),
                            ("queue/join", (FORM, MULTIPART, JSON))):  # fmt: skip
            for kind in kinds:
                assert (await raw(page, "POST", f"gradio_api/{path}", b'{"data": ["files"]', kind))[0] in (400, 422)
                tried += 1
        # names that lead elsewhere
        for number, name in enumerate(NAMES):
            body = form(b"name %d" % number, name)
            assert (await raw(page, "POST", "gradio_api/upload", body, MULTIPART))[0] in (200, 400)
            tried += 1
        for path in page.temporary.parent.rglob("*"):
            if path.is_file() and path.read_bytes()[:5] == b"name ":
                assert path.is_relative_to(page.home())
        return tried

    tried = asyncio.run(all_of_them())
    assert loose_files(page) == []
    assert tried
    survived("hostile uploads to the web page: too large, chunked, false lengths, broken forms, names that lead "
             "elsewhere", tried, "all refused, or stored in their own folder; nothing else written")  # fmt: skip


def test_what_is_no_photo_is_told_kindly(page, photos):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'

    async def give():
        async with connected(page.url) as client:
            tab = await Tab(client).open()
            for name, data in (("photo.jpg", b"some text"), ("photo.svg", svg), ("photo.png", svg),
                               ("page.html", b"<script>alert(1)</script>"), ("empty.png", b""),
                               ("photo.png", b'{"a": 1}')):  # fmt: skip
                file = await tab.upload(name, data)
                with pytest.raises(Failed, match="not a readable picture|Invalid file type"):
                    await tab.cut_out(file)
                shown = await client.get(f"gradio_api/file={file['path']}")
                if name.endswith((".svg", ".html")):  # a browser would run what is in it
                    assert shown.headers["content-disposition"].startswith("attachment")
            got = pixels(await tab.cut_out(await tab.upload("me.png", photos[0][0])))
            assert np.array_equal(got, photos[0][1])

    asyncio.run(give())


def test_no_file_of_the_server_or_of_another_visitor_is_handed_out(page, photos, weights, survived):
    async def look_around():
        async with connected(page.url) as client:
            victim = await Tab(client).open()
            upload = await victim.upload("me.png", photos[0][0])
            _, original, _, _ = await victim.call(victim.cut, [upload, None])
        private = [page.home() / path for path in (upload["path"], original["path"])]
        assert all(len(path.parent.name) >= 22 for path in private)  # 128 random bits, or what only the photo tells
        home, up = page.home(), "/.." * 30
        forged = [weights, "/etc/passwd", "/proc/self/environ", page.temporary, home, private[1].parent, f"{home}/*",
                  f"{home}{up}/etc/passwd", f"{private[0]}/../../../../../../../../etc/passwd", f"{home}/..",
                  "file:///etc/passwd", "~/.bashrc", "README.md", "", "\0"]  # fmt: skip
        encoded = [str(path).replace("/", "%2f").replace(".", "%2e") for path in forged]
        addresses = [f"gradio_api/{way}{path}" for path in map(str, (*forged, *encoded)) for way in ("file=", "file/")]
        ways = ("static", "assets", "svelte", "gradio_api/proxy=", "gradio_api/custom_component/1/server/component")
        addresses += [f"{way}{up}/etc/passwd" for way in ways]
        addresses += [each.replace("..", "%2e%2e") for each in addresses if ".." in each]
        secrets = [weights.read_bytes()[:100], b"root:", b"PATH=", photos[0][0][:100]]
        for address in addresses:
            status, body = await raw(page, "GET", address.replace("\0", "%00").replace(" ", "%20"))
            assert status in (400, 403, 404, 422, 307), (address, status)
            assert not any(secret in body for secret in secrets)
        tried = len(addresses)
        for forged_path in (*forged, *encoded, "http://127.0.0.1:9/x.png", f"{page.url}config"):
            async with connected(page.url) as client:
                stranger = await Tab(client).open()
                with pytest.raises(Failed):
                    await stranger.cut_out(stored(str(forged_path)))
                assert await stranger.placed("White") is None
            tried += 1
        return tried

    tried = asyncio.run(look_around())
    survived("addresses and forged requests that name files of the server, of its owner or of another visitor", tried,
             f"{tried} refused")  # fmt: skip


def test_two_tabs_of_one_visitor_have_each_their_own_photo(page, photos):
    async def two():
        async with connected(page.url) as browser:
            tabs = [await Tab(browser).open() for _ in range(2)]
            for tab, (data, expected) in zip(tabs, photos):
                assert np.array_equal(pixels(await tab.cut_out(await tab.upload("me.png", data))), expected)
            for tab, (_, expected) in zip(tabs, photos):  # the first tab again, after the second has cut out its photo
                assert np.array_equal(pixels(await tab.placed("Transparent")), expected)
            assert await (await Tab(browser).open()).placed("Transparent") is None

    asyncio.run(two())


def test_nothing_listens_but_on_this_computer_and_nobody_is_called(page, survived):
    sockets = [each for each in page.process.net_connections("inet") if each.status != psutil.CONN_NONE]
    assert [(each.laddr.ip, each.laddr.port) for each in sockets if each.status == psutil.CONN_LISTEN] == [
        ("127.0.0.1", page.port)
    ]
    assert {each.raddr.ip for each in sockets if each.raddr} <= {"127.0.0.1"}
    assert page.process.children(recursive=True) == []
    survived("sockets of the web page's process, after all that", len(sockets),
             "it listens on 127.0.0.1 alone, and is connected to nobody else")  # fmt: skip


def test_however_it_ends_no_photo_stays(page, weights, photos, survived):
    async def under_load(other, way):
        """Stop the server while photos are uploaded, wait and are cut out."""
        slow = [asyncio.create_task(dribble(other)) for _ in range(5)]
        crowd = Crowd(other, photos[:10], 60)
        visitors = asyncio.create_task(crowd.all())
        while not crowd.counts["served"]:
            assert not crowd.errors
            await asyncio.sleep(0.05)
        assert len(list(other.home().rglob("*.png"))) > 1
        other.popen.send_signal(way)
        await asyncio.to_thread(other.popen.wait, 60)
        crowd.end = 0
        await asyncio.gather(visitors, *slow, return_exceptions=True)

    with page_process(weights, page.temporary) as killed:
        home = killed.home()
        asyncio.run(under_load(killed, signal.SIGKILL))
    assert list(home.rglob("*.png"))
    with page_process(weights, page.temporary) as next_one:
        assert not home.exists()
        assert page.home().exists()  # of a process that lives
        asyncio.run(under_load(next_one, signal.SIGTERM))
    assert next_one.popen.returncode == 0
    assert list(page.temporary.glob("portrait-*")) == [page.home()]
    assert loose_files(page) == []
    survived("the web page stopped at full load, by SIGTERM and by SIGKILL", 2,
             "no photo stays: SIGTERM deletes all, and after SIGKILL the next start")  # fmt: skip
