"""What belongs to a folder of images and what it means: splits, classes, links, runs, frames, and depths of levels."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.choices import choose
from vaekit.data import Source, read_examples, read_input
from vaekit.errors import InputError
from vaekit.reporting.plots.style import save, sheet
from vaekit.training.checks import check

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def gray(seed: int, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (8, 8)).astype(np.uint8 if high <= 256 else np.uint16)


def fill(folder, n, seed=0, high=256):
    """Save n images; the one of number i and seed s is known by its pixels."""
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(gray(1000 * seed + i, high)).save(folder / f"{i:02}.png")
    return folder


def load(folder, **options):
    return Source(name=str(folder), **options).load()


def part(split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.x}


def expected(seed: int, n: int) -> set[bytes]:
    return {gray(1000 * seed + i).tobytes() for i in range(n)}


@pytest.fixture(autouse=True)
def said(caplog):
    caplog.set_level("INFO", logger="vaekit")
    return caplog


@pytest.mark.parametrize("layout", ["{part}/{name}", "data/{part}/{name}/more", "{name}/{part}"])
@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "valid", "Testing"), ("train2017",) * 3])
def test_official_parts_are_kept_and_classes_are_on_the_other_level(tmp_path, layout, words, said):
    words = words if len(set(words)) == 3 else ("train2017", "val2017", "test2017")
    for i, (word, n) in enumerate(zip(words, (6, 2, 3), strict=True)):
        for j, name in enumerate(("cat", "dog")):
            fill(tmp_path / layout.format(part=word, name=name), n, seed=2 * i + j)
    data = load(tmp_path)
    assert (data.space.split, data.space.classes) == ("12/4/6", ("cat", "dog"))
    assert part(data.train) == expected(0, 6) | expected(1, 6)
    assert part(data.validation) == expected(2, 2) | expected(3, 2)
    assert part(data.test) == expected(4, 3) | expected(5, 3)
    assert data.test.labels.tolist() == [0] * 3 + [1] * 3
    assert f"{tmp_path}: the folders are the split: 12 train, 4 validation, 6 test" in said.text
    with pytest.raises(InputError, match=r"'0.8/0.1/0.1' is not a split .* end in the official test part of 6"):
        load(tmp_path, split="0.8/0.1/0.1")


def test_train_and_test_alone_are_two_parts_and_train_may_give_validation_images(tmp_path):
    fill(tmp_path / "train", 20)
    fill(tmp_path / "test", 3, seed=1)
    data = load(tmp_path)
    assert (data.space.sizes, data.space.classes) == ({"train": 20, "test": 3}, None)
    assert part(data.test) == expected(1, 3)
    with pytest.raises(InputError, match="choose from 20/3, 18/2/3, or sizes"):
        load(tmp_path, split="0.9/0.1")
    three = load(tmp_path, split="18/2/3")
    assert part(three.test) == expected(1, 3)
    assert part(three.train) | part(three.validation) == expected(0, 20)


def test_validation_without_test_is_held_out_and_called_test_aloud(tmp_path, said):
    fill(tmp_path / "train", 6)
    fill(tmp_path / "val", 3, seed=1)
    data = load(tmp_path)
    assert data.space.sizes == {"train": 6, "test": 3}
    assert part(data.test) == expected(1, 3)
    assert "there is no folder for test, so the validation images are the test images" in said.text


def test_images_beside_the_parts_are_left_out_aloud(tmp_path, said):
    fill(tmp_path / "train", 6)
    fill(tmp_path / "test", 3, seed=1)
    fill(tmp_path / "masks", 4, seed=2)
    Image.fromarray(gray(5)).save(tmp_path / "preview.png")
    assert load(tmp_path).space.sizes == {"train": 6, "test": 3}
    assert "left out 5 images that are in none of the folders of the split" in said.text


def test_parts_without_train_are_refused(tmp_path):
    fill(tmp_path / "val", 3)
    fill(tmp_path / "test", 3)
    with pytest.raises(InputError, match="for validation and test, but none for train: name the one to read"):
        load(tmp_path)


def test_a_class_that_is_called_train_is_a_class(tmp_path):
    for i, name in enumerate(("bus", "train")):
        fill(tmp_path / name, 10, seed=i)
    assert load(tmp_path).space.classes == ("bus", "train")


def test_runs_of_vaekit_are_left_out_aloud(tmp_path, said):
    fill(tmp_path / "p", 12)
    fill(tmp_path / "p" / "runs" / "mlp-1" / "figures", 3, seed=1)
    (tmp_path / "p" / "runs" / "mlp-1" / "experiment.json").write_text("{}")
    assert len(read_input(str(tmp_path / "p"))[0]) == 12
    assert f"{tmp_path / 'p'}: left out {Path('runs') / 'mlp-1'}: a run of vaekit" in said.text
    assert len(read_input(str(tmp_path / "p" / "runs" / "mlp-1"))[0]) == 3  # asked for by name


def test_figures_of_vaekit_are_skipped_by_name(tmp_path, said):
    figure = sheet(1, "title", "note")
    fill(tmp_path / "p", 4)
    save(figure, tmp_path / "p", "growth")
    assert len(read_input(str(tmp_path / "p"))[0]) == 4
    assert "growth.png (a figure drawn by vaekit)" in said.text


@LINKS
def test_links_are_followed_and_every_folder_is_read_once(tmp_path, said):
    fill(tmp_path / "p" / "a", 4)
    fill(tmp_path / "elsewhere", 5, seed=1)
    for name, target in (("b", tmp_path / "elsewhere"), ("a/loop", tmp_path / "p"), ("up", tmp_path), ("a0", "a")):
        os.symlink(target, tmp_path / "p" / name)
    os.symlink("self", tmp_path / "p" / "a" / "self")
    os.symlink(tmp_path / "p", tmp_path / "elsewhere" / "back")
    x, labels = read_input(str(tmp_path / "p"))
    assert {image.tobytes() for image in x} == expected(0, 4) | expected(1, 5)
    assert labels.tolist() == [0] * 4 + [1] * 5
    assert "left out a/loop, a0, up and 1 more: a link to a folder that is read already" in said.text
    assert "a/self (Too many levels of symbolic links)" in said.text


@LINKS
def test_links_to_nothing_are_named(tmp_path, said):
    fill(tmp_path / "p", 4)
    os.symlink(tmp_path / "gone.png", tmp_path / "p" / "z.png")
    assert len(read_input(str(tmp_path / "p"))[0]) == 4
    assert "skipped 1 of 5 files: z.png (No such file or directory)" in said.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_not_left_out_in_silence(tmp_path):
    fill(tmp_path / "p" / "a", 4)
    fill(tmp_path / "p" / "b", 4).chmod(0)
    with pytest.raises(InputError, match="b cannot be read"):
        read_input(str(tmp_path / "p"))


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_every_frame_is_an_image(tmp_path, suffix, said):
    frames = [Image.fromarray(gray(i)).convert("RGB") for i in range(70)]
    options = {"lossless": True} if suffix == "webp" else {"compression": "tiff_deflate"} if suffix == "tif" else {}
    (tmp_path / "p").mkdir()
    frames[0].save(tmp_path / "p" / f"b.{suffix}", save_all=True, append_images=frames[1:], **options)
    Image.fromarray(gray(99)).convert("RGB").save(tmp_path / "p" / f"a.{suffix}", **options)
    raw = read_examples(str(tmp_path / "p"))
    assert np.array_equal(raw.x[0, 0], gray(99))
    assert all(np.array_equal(image[0], gray(i)) for i, image in enumerate(raw.x[1:]))
    assert raw.names == (f"a.{suffix}", *(f"b.{suffix}#{i}" for i in range(70)))
    assert "files with several pages or frames: 1; each frame is an image (71 in all)" in said.text
    assert np.array_equal(read_examples(str(tmp_path / "p" / f"b.{suffix}")).x, raw.x[1:])


def test_smaller_copies_and_masks_in_a_tiff_file_are_no_pages(tmp_path):
    small = Image.fromarray(gray(1)[:4, :4])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    page = Image.fromarray(gray(2))
    Image.fromarray(gray(0)).save(tmp_path / "a.tif", save_all=True, append_images=[small, page])
    x = read_input(str(tmp_path))[0]
    assert np.array_equal(x[:, 0], [gray(0), gray(2)])


def test_a_broken_page_is_skipped_alone(tmp_path, said):
    pages = [Image.fromarray(gray(i)) for i in range(5)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    with Image.open(tmp_path / "a.tif") as image:
        image.seek(2)
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[start : start + length] = bytes(length)
    (tmp_path / "a.tif").write_bytes(content)
    raw = read_examples(str(tmp_path))
    assert raw.names == ("a.tif#0", "a.tif#1", "a.tif#3", "a.tif#4")
    assert np.array_equal(raw.x[:, 0], [gray(i) for i in (0, 1, 3, 4)])
    assert "skipped 1 of 5 files: a.tif#2 (" in said.text


@pytest.mark.parametrize(("high", "depth"), [(200, 8), (4096, 12), (1000, 10), (16000, 14), (65536, 16)])
def test_sixteen_bit_levels_are_scaled_by_the_bits_in_use_in_the_whole_folder(tmp_path, high, depth, said):
    fill(tmp_path / "p", 12, high=max(high, 257))
    levels = np.stack([gray(i, max(high, 257)) for i in range(12)])
    for i in range(12):
        levels[i] = np.minimum(levels[i], high - 1 if i else high // 2)
        Image.fromarray(levels[i]).save(tmp_path / "p" / f"{i:02}.png")
    raw = read_examples(str(tmp_path / "p"))
    assert raw.depth == depth
    assert np.abs(raw.x[:, 0] - levels * (255 / (2**depth - 1))).max() <= 0.5
    assert (f"16-bit images are read as {depth} bits: levels from 0 to {2**depth - 1:,}" in said.text) == (depth > 8)
    # An image of low levels alone is scaled as in training, one of higher levels is refused.
    alone = read_examples(str(tmp_path / "p" / "00.png"), depth=depth)
    assert np.array_equal(alone.x, raw.x[:1])
    if depth < 16:
        Image.fromarray(np.full((8, 8), 60000, np.uint16)).save(tmp_path / "p" / "zz.png")
        with pytest.raises(InputError, match=rf"zz.png cannot be read \(levels up to 60,000, .*\({depth} bits\)"):
            read_examples(str(tmp_path / "p" / "zz.png"), depth=depth)
        assert len(read_examples(str(tmp_path / "p"), depth=depth).x) == 12
        assert "zz.png (levels up to 60,000" in said.text


def test_dark_colors_of_sixteen_bits_are_told(tmp_path, said):
    for i in range(3):
        png48(tmp_path / f"{i}.png", np.random.default_rng(i).integers(0, 4096, (8, 8, 3)).astype(">u2"))
    read_input(str(tmp_path))
    assert "use only 16 of those 256 levels" in said.text


def png48(path, pixels):
    """Write a PNG file of 16 bits a color, which Pillow cannot."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"\x1b[31mred"])
def test_odd_names_of_folders_are_classes_that_can_be_shown_and_stored(tmp_path, name, said):
    folder = tmp_path / os.fsdecode(name)
    fill(folder, 8)
    fill(tmp_path / "b", 8, seed=1)
    (folder / "broken.png").write_text("not an image")
    space = load(tmp_path).space
    assert all(each.isprintable() for each in space.classes)
    assert set(space.classes) - {"b"} in ({"caf\\udce9"}, {"two\\nlines"}, {"\\x1b[31mred"})
    assert "\x1b" not in said.text
    assert all(each.isprintable() for each in read_examples(str(tmp_path)).names)


def test_large_images_come_with_a_hint(tmp_path, said):
    for i in range(8):
        Image.fromarray(np.tile(gray(i), (50, 50))).save(tmp_path / f"{i}.png")
    assert load(tmp_path).space.event_shape == (1, 400, 400)
    assert "are 400×400, which takes much time and memory: image_size (--image-size) 64 resizes them" in said.text


def test_too_little_memory_for_images_of_files_names_their_size(tmp_path):
    space = load(fill(tmp_path / "p", 12)).space
    with pytest.raises(
        InputError, match=r"GiB available: choose a smaller image_size \(--image-size\), a smaller model.latent_dim"
    ):
        check(choose(str(tmp_path / "p"), hidden=[10**12]), space, torch.device("cpu"))
