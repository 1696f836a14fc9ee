"""Fetching: whole or not at all, checked, going on where it stopped; and the data commands on the command line."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from tinycnn import cli
from tinycnn.data import fetch as fetch_module
from tinycnn.data.fetch import SOURCES, Source, fetch

BODY = np.random.default_rng(7).bytes(700_001)


class Server(BaseHTTPRequestHandler):
    """A server that may not know ranges, break off, send too much, or send something else."""

    body, ranges, stop_after, asked = BODY, True, None, []

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        if self.path == "/missing.bin":
            self.send_error(404)
            return
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        self.wfile.write(self.body[start : None if self.stop_after is None else start + self.stop_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def served():
    """A class to set the behaviour with, and the source it serves."""
    handler = type("Handler", (Server,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    source = Source(f"http://127.0.0.1:{server.server_port}/x.bin", len(BODY), hashlib.sha256(BODY).hexdigest())
    yield handler, source
    server.shutdown()
    server.server_close()
    thread.join()


def get(source, folder):
    return fetch("it", folder, sources={"it": (source,)})


def test_a_file_is_fetched_whole_and_not_again(served, tmp_path):
    handler, source = served
    (path,) = get(source, tmp_path / "new" / "folder")
    assert path.name == "x.bin"
    assert path.read_bytes() == BODY
    get(source, tmp_path / "new" / "folder")
    assert handler.asked == [None]
    path.write_bytes(BODY[:-1] + b"?")  # damaged since: fetched anew
    get(source, tmp_path / "new" / "folder")
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_broke_off_leaves_no_file_and_goes_on(served, tmp_path, ranges):
    handler, source = served
    handler.stop_after, handler.ranges = 300_000, ranges
    with pytest.raises(OSError, match="ended at 300,000 of 700,001 bytes; ask again to go on"):
        get(source, tmp_path)
    assert not (tmp_path / "x.bin").exists()
    handler.stop_after = None
    (path,) = get(source, tmp_path)
    assert path.read_bytes() == BODY
    assert handler.asked == [None, "bytes=300000-"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_a_server_that_sends_something_else_or_too_much_leaves_nothing(served, tmp_path):
    handler, source = served
    handler.body = BODY[:-1] + b"?"
    with pytest.raises(ValueError, match="not the file it should be, and removed"):
        get(source, tmp_path)
    assert list(tmp_path.iterdir()) == []
    handler.body = BODY + bytes(50_000_000)
    with pytest.raises(ValueError, match="sends more than 700,001 bytes"):
        get(source, tmp_path)
    assert not (tmp_path / "x.bin").exists()
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= len(BODY)


def test_what_is_not_there_not_known_or_not_http_is_said(served, tmp_path):
    _, source = served
    with pytest.raises(OSError, match=r"missing\.bin cannot be fetched: HTTP Error 404"):
        get(source._replace(url=source.url.replace("x.bin", "missing.bin")), tmp_path)
    with pytest.raises(ValueError, match="only http and https"):
        get(source._replace(url="file:///etc/passwd"), tmp_path)
    with pytest.raises(ValueError, match="minst"):
        fetch("minst", tmp_path)


def test_every_known_set_is_named_by_its_files_sizes_and_checksums():
    files = [source for sources in SOURCES.values() for source in sources]
    assert len({source.sha256 for source in files}) == len(files) == 10
    assert all(len(source.sha256) == 64 and int(source.sha256, 16) for source in files)
    assert all(source.url.startswith("https://") and source.name.endswith(".gz") for source in files)
    assert all(4_000 < source.size < 200_000_000 for source in files)


# The command line


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


@pytest.fixture
def pets(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3 + k):
            pixels = np.full((4 + i // 3, 6, 3), (0, 51 * i, 255 * k), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def test_fetch_on_the_command_line_prints_what_it_fetched(served, tmp_path, capsys, monkeypatch):
    _, source = served
    monkeypatch.setitem(fetch_module.SOURCES, "it", (source,))
    code, out, err = run(capsys, "data", "fetch", "it", "--to", tmp_path)
    assert (code, out, err) == (0, f"{tmp_path / 'x.bin'}\n", "")
    code, _, err = run(capsys, "data", "fetch", "nothing", "--to", tmp_path)
    assert code == 2
    assert "nothing" in err


def test_info_counts_measures_and_names_what_is_bad(pets, capsys):
    code, out, err = run(capsys, "data", "info", pets, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["kind"] == "folder"
    assert (found["pictures"], found["classes"], found["bad"]) == (7, {"cat": 3, "dog": 4}, [])
    assert found["sizes"] == {"3×4×6": 6, "3×5×6": 1}
    pixels = np.concatenate([np.tile((0, 0.2 * i, k), (6 * (4 + i // 3), 1)) for k in (0, 1) for i in range(3 + k)])
    assert np.allclose(found["mean"], pixels.mean(axis=0), atol=1e-6)
    assert np.allclose(found["std"], pixels.std(axis=0), atol=1e-6)
    (pets / "dog" / "2.png").write_bytes(b"broken")
    code, out, _ = run(capsys, "data", "info", pets)
    assert code == 1
    assert "bad files 1" in out
    assert f"{pets / 'dog' / '2.png'}" in out
    code, _, err = run(capsys, "data", "info", pets / "nowhere")
    assert code == 2
    assert "no such file or folder" in err


@pytest.mark.parametrize("what", ["folder", "masks", "mnist", "cifar", "table"])
def test_show_and_info_know_every_kind_of_data_set(pets, tmp_path, capsys, what):
    path, kind = pets, "folder"
    rng = np.random.default_rng(0)
    if what == "masks":
        path, kind = tmp_path / "m", "pairs"
        for name, mode in (("images", (6, 5, 3)), ("masks", (6, 5))):
            (path / name).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(rng.integers(0, 3, mode, np.uint8)).save(path / name / f"{i}.png")
    elif what == "mnist":
        path, kind = tmp_path / "fashion", "fashion-mnist"
        path.mkdir()
        for start, n in (("train", 6), ("t10k", 2)):
            head = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 4, 0, 0, 0, 4])
            (path / f"{start}-images-idx3-ubyte").write_bytes(head + rng.bytes(16 * n))
            (path / f"{start}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, n]) + bytes(range(n)))
    elif what == "cifar":
        path, kind = tmp_path / "c", "cifar10"
        path.mkdir()
        for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
            (path / f"{name}.bin").write_bytes(b"".join(bytes([k]) + rng.bytes(3072) for k in (1, 9)))
        (path / "batches.meta.txt").write_text("airplane\n")
    elif what == "table":
        path, kind = tmp_path / "t.csv", "table"
        path.write_text("label,p0,p1,p2,p3\na,0,1,2,3\nb,4,5,6,7\n")
    code, out, _ = run(capsys, "data", "info", path, "--json")
    assert code == 0
    assert json.loads(out)["kind"] == kind
    assert "classes" in run(capsys, "data", "info", path)[1]
    sheet = tmp_path / "sheet.png"
    code, out, err = run(capsys, "data", "show", path, "--out", sheet, "--count", 5)
    assert (code, err) == (0, "")
    assert out.endswith(f"→ {sheet}\n")
    with Image.open(sheet) as picture:
        assert picture.width == 1200


def test_data_without_a_command_and_its_help_tell_what_there_is(capsys):
    _, out, err = run(capsys, "data", "--help")
    assert all(name in out + err for name in ("info", "show", "fetch"))
