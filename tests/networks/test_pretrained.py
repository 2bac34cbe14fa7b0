"""Downloads are tried against a server on this machine; nothing here reaches the internet."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from helpers.networks import pretrained
from helpers.networks.pretrained import (
    ENCODERS,
    SHIPPED,
    SOURCES,
    WeightFile,
    fetch_start,
    find_encoder,
    find_pretrained,
    find_shipped,
    find_start,
)

GOOD = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"/good": GOOD, "/other": b"x" * len(GOOD), "/page": b"<html>", "/endless": GOOD * 50}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.path == "/good" and self.server.cut:
            self.wfile.write(GOOD[:100])  # then the connection breaks
        elif body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.cut = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def places(server, monkeypatch):
    """Sets the places that weights are fetched from to paths on the server."""
    monkeypatch.setenv("no_proxy", "*")  # a company's proxy does not lead back to this computer

    def set_places(*paths):
        urls = tuple(f"http://127.0.0.1:{server.server_port}{path}" for path in paths)
        source = WeightFile("u2net.pth", len(GOOD), hashlib.sha256(GOOD).hexdigest(), urls)
        monkeypatch.setitem(pretrained.SOURCES, "u2net", source)

    return set_places


def test_the_first_place_with_the_right_file_is_taken(places, tmp_path):
    places("/missing", "/page", "/other", "/good")
    path = fetch_start("u2net", tmp_path)
    assert path == tmp_path / "u2net.pth"
    assert path.read_bytes() == GOOD
    assert [file.name for file in tmp_path.iterdir()] == ["u2net.pth"]


@pytest.mark.parametrize("wrong", ["/other", "/page", "/endless", "/missing"])
def test_a_wrong_file_is_refused_and_nothing_is_left(wrong, places, tmp_path):
    places(wrong)
    with pytest.raises(ConnectionError, match=wrong):
        fetch_start("u2net", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_download_is_refused_and_nothing_is_left(server, places, tmp_path):
    server.cut = True
    places("/good")
    with pytest.raises(ConnectionError):
        fetch_start("u2net", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\nhalf"])  # fmt: skip
def test_after_a_place_that_answers_nonsense_the_next_one_is_asked(answer, places, monkeypatch, tmp_path):
    def answered(listening):
        with listening, listening.accept()[0] as connection:
            connection.recv(1 << 16)
            connection.sendall(answer)

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=answered, args=(listening,))
    thread.start()
    places("/good")
    source = pretrained.SOURCES["u2net"]
    bad = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    monkeypatch.setitem(pretrained.SOURCES, "u2net", source._replace(places=(bad, *source.places)))
    assert fetch_start("u2net", tmp_path).read_bytes() == GOOD
    thread.join()


def test_a_failing_download_keeps_the_file_that_was_there(places, tmp_path):
    (tmp_path / "u2net.pth").write_bytes(b"old")
    places("/other")
    with pytest.raises(ConnectionError):
        fetch_start("u2net", tmp_path)
    assert (tmp_path / "u2net.pth").read_bytes() == b"old"


def test_nobody_listening_is_a_connection_error(server, places, tmp_path):
    places("/good")
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError, match="could not be fetched"):
        fetch_start("u2net", tmp_path)


@pytest.mark.parametrize("network, place", [
    ("u2net", "u2net.pth"), ("u2net", "u2net/u2net.pth"),
    ("u2net_lite", "u2netp.pth"), ("u2net_lite", "u2netp/u2netp.pth"),
])  # fmt: skip
def test_weights_are_found_in_both_places(network, place, tmp_path):
    assert find_pretrained(network, tmp_path) is None
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"")
    assert find_pretrained(network, tmp_path) == tmp_path / place


def test_the_projects_own_weights_are_the_first_to_start_from(tmp_path):
    assert find_start("u2net_lite", tmp_path) is None
    (tmp_path / "u2netp.pth").write_bytes(b"")
    assert find_shipped("u2net_lite", tmp_path) is None
    assert find_start("u2net_lite", tmp_path) == tmp_path / "u2netp.pth"
    own = tmp_path / SHIPPED["u2net_lite"]
    own.write_bytes(b"")
    assert find_start("u2net_lite", tmp_path) == find_shipped("u2net_lite", tmp_path) == own
    assert find_start("u2net", tmp_path) is None


def test_a_network_with_an_encoder_starts_from_imagenet(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    assert find_start("resnet50_unet", tmp_path) is None
    path = tmp_path / ENCODERS["resnet50_unet"].file
    path.write_bytes(b"")
    assert find_start("resnet50_unet", tmp_path) == path


def encoder_source(server, monkeypatch, sha256):
    """Has the encoder's weights on the server, known by the hash `sha256`; returns the file's name."""
    place = f"http://127.0.0.1:{server.server_port}/good"
    source = WeightFile(f"resnet50-{sha256}.pth", len(GOOD), sha256, (place,))
    monkeypatch.setitem(pretrained.ENCODERS, "resnet50_unet", source)
    return source.file


def test_an_encoder_is_known_by_the_beginning_of_its_hash(server, monkeypatch, tmp_path):
    file = encoder_source(server, monkeypatch, hashlib.sha256(GOOD).hexdigest()[:8])
    path = fetch_start("resnet50_unet", tmp_path)
    assert path == tmp_path / file
    assert path.read_bytes() == GOOD


def test_an_encoder_with_another_hash_is_refused(server, monkeypatch, tmp_path):
    whole = hashlib.sha256(GOOD).hexdigest()
    file = encoder_source(server, monkeypatch, whole[1:9])  # in the hash, but not its beginning
    with pytest.raises(ConnectionError, match=f"{file}.* by hand.*sha256 is {whole}"):
        fetch_start("resnet50_unet", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_is_found_in_the_folder_then_in_torchvisions_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder, cache = tmp_path / "saved", tmp_path / "torch" / "hub" / "checkpoints"
    assert find_encoder("resnet50_unet", folder) is None
    folder.mkdir()
    cache.mkdir(parents=True)
    for other in ("resnet50.pth", "resnet101-11ad3fa6.pth", "wide_resnet50-11ad3fa6.pth"):
        (folder / other).write_bytes(b"")
    assert find_encoder("resnet50_unet", folder) is None
    # each of these goes before those above it
    for path in (cache / "resnet50-0676ba61.pth", cache / "resnet50-11ad3fa6.pth",
                 folder / "resnet50-0676ba61.pth", folder / "resnet50-11ad3fa6.pth"):  # fmt: skip
        path.write_bytes(b"")
        assert find_encoder("resnet50_unet", folder) == path


def test_every_encoder_has_its_hash_in_its_name():
    assert not ENCODERS.keys() & SOURCES.keys()  # what cuts out is looked for among the sources
    for source in ENCODERS.values():
        assert source.file.endswith(f"-{source.sha256}.pth")
        assert len(bytes.fromhex(source.sha256)) == 4
        assert all(place.startswith("https://") and place.endswith(source.file) for place in source.places)


def test_every_source_names_several_places_and_a_whole_hash():
    for source in SOURCES.values():
        assert len(source.places) >= 2
        assert all(place.startswith("https://") for place in source.places)
        assert len(bytes.fromhex(source.sha256)) == 32
