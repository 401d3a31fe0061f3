"""Data larger than memory: mapped, announced, read ahead by a thread, and never held in memory as a whole."""

import itertools
import json
import mmap
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vaekit.data import Source, disk
from vaekit.data.data import Data, Split
from vaekit.errors import InputError, RunError

LEVELS = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8), dtype=np.uint8)
SPLIT = "150/20/30"


@pytest.fixture
def everything_is_large(monkeypatch):
    call_everything_large(monkeypatch)


def call_everything_large(monkeypatch):
    for module in ("arrays", "source", "data"):
        monkeypatch.setattr(f"vaekit.data.{module}.RESIDENT", 0)


def load(folder, **options) -> Data:
    np.save(folder / "x.npy", LEVELS)
    return Source(name=str(folder / "x.npy"), split=SPLIT, **options).load()


def batches(images: int, steps: int = 10):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(images, (16,), generator=generator) for _ in range(steps)]


def reading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("mode", ["none", "dynamic", "static", "threshold"])
def test_a_stream_gives_the_batches_of_its_rows(tmp_path, monkeypatch, mode):
    train = load(tmp_path, binarization=mode).train
    rows = batches(len(train))
    torch.manual_seed(0)
    expected = [train.batch(r).x for r in rows]
    assert all(torch.equal(train.stored(r).x, batch.x) for r, batch in zip(rows, train.stream(rows), strict=True))
    call_everything_large(monkeypatch)
    large = load(tmp_path, binarization=mode).train
    assert large.large
    torch.manual_seed(0)
    found = [large.seen(batch).x for batch in large.stream(rows)]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_reading_ahead_draws_no_random_numbers(everything_is_large, tmp_path):
    train = load(tmp_path, binarization="dynamic").train
    state = torch.get_rng_state()
    stream = train.stream(itertools.repeat(torch.arange(16)))
    next(stream)
    stream.close()
    assert torch.equal(state, torch.get_rng_state())


def test_data_in_memory_need_no_thread(tmp_path):
    train = load(tmp_path).train
    stream = train.stream(batches(len(train)))
    next(stream)
    assert not reading()


def test_only_a_few_batches_are_read_ahead_and_closing_ends_the_thread(everything_is_large, tmp_path):
    train, asked = load(tmp_path).train, []

    def rows():
        for step in itertools.count():
            asked.append((step, threading.current_thread()))
            yield torch.tensor([step % 150])

    stream = train.stream(rows())
    for step in range(5):
        assert torch.equal(next(stream).x, train.stored(torch.tensor([step])).x)
    assert len(reading()) == 1
    stream.close()
    assert not reading()
    assert 5 <= len(asked) <= 5 + disk.AHEAD
    assert threading.current_thread() not in {thread for _, thread in asked}


def test_exactly_the_pages_of_the_rows_are_announced(everything_is_large, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(disk, "madvise", lambda: lambda *call: told.append(call))
    np.save(tmp_path / "x.npy", np.zeros((50, 1, 64, 100), np.uint8))
    x = torch.from_numpy(disk.mapped(tmp_path / "x.npy"))
    disk.announce(x, torch.tensor([49, 7]))
    for row, (start, length, advice) in zip((49, 7), told, strict=True):
        first = x[row].data_ptr()
        assert start % mmap.PAGESIZE == 0
        assert first - mmap.PAGESIZE < start <= first
        assert start + length == first + 6400
        assert advice == mmap.MADV_WILLNEED


def test_an_error_of_the_thread_comes_where_its_batch_would(everything_is_large, tmp_path):
    train = load(tmp_path).train
    stream = train.stream([torch.tensor([1]), torch.tensor([150]), torch.tensor([2])])
    next(stream)
    with pytest.raises(IndexError, match="150"):
        next(stream)
    assert not reading()


@pytest.mark.parametrize("mode", ["none", "dynamic"])
def test_the_first_fixed_bits_do_not_depend_on_how_many_are_drawn(tmp_path, mode):
    data = load(tmp_path, binarization=mode)
    for images in (1, 33, 150, 1000):
        rows = torch.arange(min(images, 150))
        assert torch.equal(data.fixed("train", images).batch(rows).x, data.fixed("train").batch(rows).x)
    assert mode == "none" or len(data.fixed("train", 33)) == 33


def test_the_first_fixed_bits_of_gray_reals_do_not_depend_on_how_many_are_drawn():
    split = Split(torch.rand(2100, 3), labels=torch.arange(2100), dynamic=True)
    some, every = split.fixed((0, 1), 1500), split.fixed((0, 1))
    assert torch.equal(some.x, every.x[:1500])
    assert torch.equal(some.labels, every.labels[:1500])


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is mapped")
def test_many_fixed_bits_go_to_the_disk_not_the_memory(everything_is_large, cache, tmp_path):
    train = load(tmp_path, binarization="static").train
    maps = Path("/proc/self/maps").read_text().splitlines()
    start = f"{train.x.data_ptr():x}-"
    assert [str(cache) in line and line.endswith("(deleted)") for line in maps if line.startswith(start)] == [True]
    assert list(cache.iterdir()) == []
    assert train.x.unique().tolist() == [0, 1]


def test_a_full_disk_is_told_before_bits_are_drawn(everything_is_large, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(RunError, match=r"bits drawn of 150 images take 0.0 GB, but the cache .* 0.0 GB left: make"):
        load(tmp_path, binarization="static")


def test_fortran_order_and_foreign_types_are_mapped_as_saved(tmp_path):
    array = np.asfortranarray(np.random.default_rng(0).normal(size=(40, 3)).astype(">f4"))
    np.save(tmp_path / "x.npy", array)
    assert np.array_equal(disk.mapped(tmp_path / "x.npy"), array)


def test_what_needs_a_copy_larger_than_memory_is_refused(everything_is_large, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=2**13))
    assert load(tmp_path).train.large
    for array, why in (
        (LEVELS / 255, "is of type float64, and as float32 of shape"),
        (np.moveaxis(LEVELS.repeat(3, 1), 1, -1), "is of type uint8, not in C order, and as uint8 of shape"),
        (np.asfortranarray(LEVELS / 3), "is of type float64, not in C order, and as float32 of shape"),
        (np.float32(1.000001) * (LEVELS / np.float32(255)), "its values cut off at 0 and 1,"),
    ):
        np.save(tmp_path / "y.npy", array)
        sentence = rf"y.npy,? {why}.* takes .*: save it so, and it is read piece by piece"
        with pytest.raises(InputError, match=sentence):
            Source(name=str(tmp_path / "y.npy"), split=SPLIT).load()
    np.save(tmp_path / "z.npy", np.random.default_rng(0).normal(size=(200, 10)))
    with pytest.raises(InputError, match=r"z.npy takes .*: rows of real numbers are standardized in memory"):
        Source(name=str(tmp_path / "z.npy"), split=SPLIT).load()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is resident")
def test_a_map_larger_than_memory_is_mapped(tmp_path):
    path = tmp_path / "x.npy"
    with path.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**20, 1, 1024, 1024)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + 2**40)  # a tebibyte of holes
    assert disk.mapped(path)[-1, 0, -1, -1] == 0


RESIDENT_MEMORY = """
import json, re, sys
from pathlib import Path
import torch
from vaekit.data import Source, arrays, data, source

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

arrays.RESIDENT = data.RESIDENT = source.RESIDENT = 2**22
data.draw_batch(torch.zeros(100, 1, 64, 64, dtype=torch.uint8))
sizes = [anonymous()]
found = Source(name=sys.argv[1], split="0.98/0.01/0.01", binarization="dynamic").load()
sizes.append(anonymous())
train = found.train
for x in train.stream(torch.randint(len(train), (200, 100))):
    train.seen(x)
sizes.append(anonymous())
print(json.dumps([train.x.nbytes / 2**20, *sizes]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is resident")
def test_memory_stays_bounded(tmp_path):
    path = tmp_path / "x.npy"
    with path.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (50_000, 1, 64, 64)}
        np.lib.format.write_array_header_1_0(stream, header)
        block = np.arange(2**20, dtype=np.uint32).view(np.uint8)
        for start in range(0, 50_000 * 4096, block.nbytes):
            stream.write(block[: 50_000 * 4096 - start].data)
    found = subprocess.run(
        [sys.executable, "-c", RESIDENT_MEMORY, str(path)], check=True, capture_output=True, text=True
    )
    mapped, before, loaded, trained = json.loads(found.stdout)
    assert mapped > 190  # mebibytes
    assert loaded - before < 30
    assert trained - before < 60


CHECKED_MEMORY = """
import json, re, sys
from pathlib import Path
import numpy as np
from vaekit.data import arrays, check, data, source

def mebibytes(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

arrays.RESIDENT = data.RESIDENT = source.RESIDENT = 2**22
rows = np.arange(2**20, dtype=np.uint32).repeat(16).view(np.uint8).reshape(-1, 64)
np.save(sys.argv[1], rows)
del rows
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
began = mebibytes("VmHWM")
found = check(sys.argv[1])
print(json.dumps([found["duplicates"]["train & test"], began, mebibytes("VmHWM")]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is resident")
def test_a_check_needs_little_memory_beside_the_map(tmp_path):
    command = [sys.executable, "-c", CHECKED_MEMORY, str(tmp_path / "x.npy")]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    shared, before, peak = json.loads(found.stdout)
    assert shared == 0
    assert peak - before < 64 + 80  # mebibytes: the map, and a few arrays of 8 bytes per example
