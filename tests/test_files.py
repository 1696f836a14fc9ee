"""Files are there whole or not at all."""

import hashlib
import os
import stat
import subprocess
import sys
import time

import pytest

from tinycnn.files import sha256, write_whole


def test_new_bytes_replace_old_ones_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "model.bin"
    write_whole(path, b"old")
    write_whole(str(path), b"new, and longer")
    assert path.read_bytes() == b"new, and longer"
    assert os.listdir(tmp_path) == ["model.bin"]


def test_missing_parent_folders_are_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "c.txt", b"")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == b""


@pytest.mark.parametrize("failing", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.bin"]


def test_a_failure_with_no_old_file_leaves_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        write_whole(tmp_path / "new.bin", b"data")
    assert os.listdir(tmp_path) == []


def test_the_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1])
    write_whole(tmp_path / "f", b"x")
    assert calls == ["fsync", "replace"]


def test_a_folder_in_the_way_is_an_error_and_leaves_no_litter(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"x")
    assert os.listdir(tmp_path) == ["taken"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_the_file_is_readable_as_the_umask_says_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    old = os.umask(0o022)
    try:
        write_whole(tmp_path / "link", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o644


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "state"
    size = 200_000
    code = (
        "import itertools, sys; from tinycnn.files import write_whole\n"
        f"for i in itertools.count(): write_whole(sys.argv[1], bytes([i % 256]) * {size})"
    )
    for delay in (0.02, 0.05, 0.11):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        try:
            deadline = time.monotonic() + 30
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(delay)
        finally:
            writer.kill()
            writer.wait(timeout=10)
        data = path.read_bytes()
        assert len(data) == size
        assert len(set(data)) == 1


def test_sha256_is_the_standard_one():
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256(b"tiny") == hashlib.sha256(b"tiny").hexdigest()
