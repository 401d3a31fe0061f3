"""The cache: keyed by content, whole or absent, repaired when it is damaged, cleared of what killed processes left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from vaekit.data import folders, read_examples, read_input
from vaekit.data.cache import cache_folder, draft, publish
from vaekit.errors import RunError

GREY = np.random.default_rng(0).integers(0, 256, (2, 12, 8, 10), dtype=np.uint8)


def fill(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{i:02}.bmp")
        os.utime(folder / f"{i:02}.bmp", (1e9, 1e9))
    return folder


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", GREY[0])


def pixels(folder: Path) -> np.ndarray:
    return read_input(str(folder))[0][:, 0]


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "images").iterdir())


def test_folders_of_equal_names_sizes_and_times_give_their_own_images(photos, tmp_path):
    other = fill(tmp_path / "other", GREY[1])
    assert np.array_equal(pixels(photos), GREY[0])
    assert np.array_equal(pixels(other), GREY[1])


def test_a_file_written_in_place_with_its_old_time_is_read_again(photos):
    pixels(photos)
    time.sleep(0.02)  # the clock of some file systems ticks a hundred times a second
    with (photos / "00.bmp").open("r+b") as file:
        Image.fromarray(GREY[1, 0]).save(file, "bmp")
    os.utime(photos / "00.bmp", (1e9, 1e9))
    assert np.array_equal(pixels(photos)[0], GREY[1, 0])


def test_equal_content_elsewhere_is_not_decoded_again(photos, tmp_path, cache, monkeypatch):
    pixels(photos)
    copy = fill(tmp_path / "copy", GREY[0])
    monkeypatch.setattr(folders, "write", None)
    assert np.array_equal(pixels(copy), GREY[0])
    assert len(entries(cache)) == 1
    monkeypatch.setattr(folders, "_contents", None)  # nor is it read, when it is known
    assert np.array_equal(pixels(copy), GREY[0])


@pytest.mark.parametrize("name", ["facts.json", "images.npy", "labels.npy"])
@pytest.mark.parametrize("content", [None, b"", b"\0" * 200, b"{}", "shorter", "altered"])
def test_a_damaged_entry_is_decoded_again(tmp_path, cache, name, content, caplog):
    (tmp_path / "photos").mkdir()
    for i, part in enumerate(("a", "b")):
        fill(tmp_path / "photos" / part, GREY[i])
    x, labels = read_input(str(tmp_path / "photos"))
    (entry,) = entries(cache)
    whole = (entry / name).read_bytes()
    altered = whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]
    (entry / name).unlink()
    if content is not None:
        damaged = {"shorter": whole[: len(whole) // 2], "altered": altered}.get(content, content)
        (entry / name).write_bytes(damaged)
    again, labels_again = read_input(str(tmp_path / "photos"))
    assert np.array_equal(again, x)
    assert np.array_equal(labels_again, labels)
    assert f"{entry} in the cache is damaged (" in caplog.text
    assert len(entries(cache)) == 1
    assert (entry / "images.npy").stat().st_size == 128 + 24 * 80
    caplog.clear()
    read_input(str(tmp_path / "photos"))
    assert not caplog.text


@pytest.mark.parametrize("content", [b"", b"../../elsewhere", b"\xff" * 32, b"0" * 32])
def test_a_damaged_index_is_written_again(photos, cache, content):
    pixels(photos)
    (index,) = (cache / "index").iterdir()
    good = index.read_bytes()
    index.write_bytes(content)
    assert np.array_equal(pixels(photos), GREY[0])
    assert index.read_bytes() == good


def test_a_folder_that_changes_while_it_is_read_is_not_kept(photos, cache, monkeypatch):
    write = folders.write

    def changing(*arguments):
        (photos / "03.bmp").write_bytes(b"another file")
        return write(*arguments)

    monkeypatch.setattr(folders, "write", changing)
    with pytest.raises(RunError, match="photos was changed while it was read: try again"):
        pixels(photos)
    assert entries(cache) == []


INGEST = """
import sys, time
from vaekit.data import Source
def slow(files):
    for path in files:
        print("begun", flush=True)
        time.sleep(float(sys.argv[2]))
        yield path
Source(name=sys.argv[1]).load(progress=slow)
"""


@pytest.fixture
def ingest(photos, cache):
    def start(pause: float) -> subprocess.Popen:
        environment = {**os.environ, "VAEKIT_CACHE": str(cache)}
        command = [sys.executable, "-c", INGEST, str(photos), str(pause)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "begun\n"
        return process

    started: list[subprocess.Popen] = []
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_killed_process_left_goes_when_any_folder_is_decoded(photos, tmp_path, cache, ingest):
    process = ingest(60)
    (left,) = (path for path in (cache / "drafts").iterdir() if path.is_dir())
    other = fill(tmp_path / "other", GREY[1])
    pixels(other)
    assert left.is_dir()  # the process is still at work
    process.send_signal(signal.SIGKILL)
    process.wait()
    fill(tmp_path / "third", GREY[1, :6])
    pixels(tmp_path / "third")
    assert not [path for path in (cache / "drafts").iterdir() if path.is_dir()]
    assert np.array_equal(pixels(photos), GREY[0])


def test_a_second_process_waits_for_the_first_and_takes_its_images(photos, cache, ingest, monkeypatch, caplog):
    monkeypatch.setenv("VAEKIT_CACHE", str(cache))
    ingest(0.1)
    monkeypatch.setattr(folders, "write", None)
    caplog.set_level("INFO", logger="vaekit")
    assert np.array_equal(pixels(photos), GREY[0])
    assert "another process is preparing" in caplog.text


def test_threads_share_one_decoding(photos, cache):
    found = []
    threads = [Thread(target=lambda: found.append(pixels(photos))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(x, GREY[0]) for x in found)
    assert len(found) == 4
    assert len(entries(cache)) == 1


def test_a_draft_goes_when_its_body_fails(cache):
    def full() -> None:
        with draft(cache / "x") as folder:
            (folder / "part").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"cannot be written \(No space left .*set VAEKIT_CACHE to another folder"):
        full()
    assert not [path for path in (cache / "drafts").iterdir() if path.is_dir()]


def test_what_is_published_is_on_the_disk_before_it_has_its_name(cache, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, target.exists())))
    target = cache / "a" / "x"
    with draft(target) as folder:
        (folder / "x").mkdir()
        (folder / "x" / "content").write_text("whole")
        expected = {(path.stat().st_ino, False) for path in (folder / "x", folder / "x" / "content")}
        publish(folder / "x", target)
    if os.name == "posix":
        assert set(synced) == expected | {((cache / "a").stat().st_ino, True)}
    assert (target / "content").read_text() == "whole"


def test_the_cache_can_be_moved(photos, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "moved"))
    assert cache_folder() == tmp_path / "moved"
    pixels(photos)
    assert entries(tmp_path / "moved")
    assert not cache.exists()


def test_names_of_files_come_with_their_images(photos):
    (photos / "03.bmp").write_bytes(b"broken")
    names = read_examples(str(photos)).names
    assert names == tuple(f"{i:02}.bmp" for i in range(12) if i != 3)
    assert read_examples(str(photos / "05.bmp")).names == ("05.bmp",)
