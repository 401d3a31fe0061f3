"""Folders of images: every mode Pillow reads, decoded once into the cache; what cannot be read is said."""

import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import Source, decoding, read_input
from vaekit.data import folders as module
from vaekit.errors import InputError, RunError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 8, 10), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (12, 8, 10, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, pixels in enumerate(GREY):
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def load(folder, **options):
    return Source(name=str(folder), **options).load()


def pixels(folder, **options) -> np.ndarray:
    """All images in file order."""
    return read_input(str(folder), **options)[0]


def test_gray_images_have_one_channel(photos):
    data = load(photos)
    assert (data.space.event_shape, data.space.support) == ((1, 8, 10), "byte")
    assert data.space.sizes == {"train": 10, "validation": 1, "test": 1}
    assert data.train.labels is None
    assert np.array_equal(pixels(photos)[:, 0], GREY)


def test_any_colour_makes_three(photos):
    Image.fromarray(COLOUR[0]).save(photos / "99.png")
    x = pixels(photos)
    assert x.shape == (13, 3, 8, 10)
    assert np.array_equal(x[-1], COLOUR[0].transpose(2, 0, 1))
    assert np.array_equal(x[0], GREY[0][None].repeat(3, 0))


@pytest.mark.parametrize("suffix", ["bmp", "png", "tiff", "gif", "ppm", "webp"])
def test_formats_without_loss(tmp_path, suffix):
    (tmp_path / "folder").mkdir()
    for i in range(3):
        Image.fromarray(GREY[i]).save(tmp_path / "folder" / f"{i}.{suffix}", lossless=True)
    assert np.array_equal(pixels(tmp_path / "folder")[:, 0], GREY[:3])


def one(folder, image: Image.Image, name="z.png", **options) -> np.ndarray:
    """Save one more image of another mode and read it back, (C, H, W)."""
    image.save(folder / name, **options)
    return pixels(folder)[-1]


def test_sixteen_bits_become_eight(photos):
    levels = np.linspace(0, 65535, 80).reshape(8, 10)
    read = one(photos, Image.fromarray(levels.astype(np.uint16)))
    assert read.shape == (1, 8, 10)
    assert np.abs(read[0] - levels / 257).max() <= 0.51


def test_bits_become_black_and_white(photos):
    read = one(photos, Image.fromarray(GREY[0] > 99))
    assert np.array_equal(read[0], np.where(GREY[0] > 99, 255, 0))


def test_palettes_become_colours(photos):
    image = Image.fromarray(COLOUR[0] // 64 * 64).quantize(256)
    read = one(photos, image)
    assert np.array_equal(read, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_transparency_becomes_white(photos):
    alpha = np.zeros((8, 10), np.uint8)
    alpha[:, 5:] = 255
    read = one(photos, Image.fromarray(np.dstack([COLOUR[0], alpha])))
    assert (read[..., :5] == 255).all()
    assert np.array_equal(read[..., 5:], COLOUR[0].transpose(2, 0, 1)[..., 5:])


def test_gray_with_transparency_stays_grey(photos):
    read = one(photos, Image.fromarray(np.dstack([GREY[0], np.zeros_like(GREY[0])])))
    assert read.shape == (1, 8, 10)
    assert (read == 255).all()
    marked = Image.fromarray(GREY[1])
    read = one(photos, marked, transparency=int(GREY[1, 0, 0]))
    assert read[0, 0, 0] == 255


def test_cmyk_becomes_rgb(photos):
    red = Image.new("CMYK", (10, 8), (0, 255, 255, 0))
    read = one(photos, red, "z.tiff")
    assert (read[0] > 200).all()
    assert (read[1:] < 60).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path, orientation):
    turns = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda x: np.rot90(x, -1),
        7: lambda x: np.rot90(x, 2).T,
        8: np.rot90,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(2):
        Image.fromarray(GREY[i]).save(tmp_path / f"{i}.png", exif=exif)
    x = read_input(str(tmp_path))[0]
    assert np.array_equal(x[0, 0], turns[orientation](GREY[0]))


def test_unlike_sizes_need_an_image_size(photos):
    Image.fromarray(GREY[0][:5]).save(photos / "99.png")
    with pytest.raises(
        InputError, match=r"images of 2 sizes \(8×10, 5×10, .*give image_size \(--image-size\), such as 5, to crop"
    ):
        load(photos)
    assert load(photos, image_size=4).space.event_shape == (1, 4, 4)
    assert load(photos, image_size=(6, 4)).space.event_shape == (1, 6, 4)


def test_the_middle_is_cropped_and_resized(tmp_path):
    stripes = np.zeros((20, 60), np.uint8)
    stripes[:, 20:40] = 200
    for i in range(2):
        Image.fromarray(stripes).save(tmp_path / f"{i}.png")
    read = read_input(str(tmp_path), event_shape=(1, 10, 10))[0].astype(int)
    # Lanczos' filter reaches a little beyond the crop; the whole image would be black to a third on either side.
    assert np.abs(read - 200).max() < 15
    assert read_input(str(tmp_path), event_shape=(3, 10, 10))[0].shape == (2, 3, 10, 10)


def test_large_jpegs_are_reduced_faithfully(tmp_path):
    scene = Image.fromarray(RANDOM.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((960, 960))
    for i in range(2):
        scene.save(tmp_path / f"{i}.jpg", quality=95)
    read = read_input(str(tmp_path), event_shape=(3, 32, 32))[0][0].transpose(1, 2, 0)
    exact = np.asarray(Image.open(tmp_path / "0.jpg").resize((32, 32), Image.Resampling.LANCZOS))
    assert np.abs(read.astype(int) - exact).mean() < 1


def test_sub_folders_are_classes(photos, caplog):
    caplog.set_level("INFO", logger="vaekit")
    for i in range(12):
        name = "cat" if i % 3 else "dog"
        (photos / "all" / name / "more").mkdir(parents=True, exist_ok=True)
        (photos / f"{i:02}.png").rename(photos / "all" / name / "more" / f"{i:02}.png")
    data = load(photos)
    assert data.space.classes == ("cat", "dog")
    labels = torch.cat([data.train.labels, data.validation.labels, data.test.labels])
    assert labels.bincount().tolist() == [8, 4]
    assert read_input(str(photos))[1].tolist() == [0] * 8 + [1] * 4
    Image.fromarray(GREY[0]).save(photos / "beside.png")
    assert load(photos).space.classes is None
    assert "sub-folders are not read as classes" in caplog.text


def test_unreadable_files_are_skipped_counted_and_named(photos, caplog):
    caplog.set_level("INFO", logger="vaekit")
    (photos / "notes.txt").write_text("no image")
    (photos / "03.png").write_bytes((photos / "03.png").read_bytes()[:80])
    (photos / "04.png").write_bytes(b"")
    (photos / ".hidden").write_text("left out")
    x = pixels(photos)
    assert len(x) == 10
    assert np.array_equal(x[3, 0], GREY[5])
    assert f"{photos}: skipped 3 of 13 files: " in caplog.text
    for name in ("notes.txt (not an image)", "03.png (", "04.png (not an image)"):
        assert name in caplog.text
    caplog.clear()
    pixels(photos)
    assert "skipped 3 of 13" in caplog.text


def test_nothing_is_executed(photos, monkeypatch, caplog):
    caplog.set_level("INFO", logger="vaekit")

    def forbidden(*args, **kwargs):
        raise SystemExit("a program was started")

    monkeypatch.setattr("subprocess.Popen", forbidden)
    (photos / "z.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 8\n%%EndComments\nshowpage\n")
    assert len(pixels(photos)) == 12
    assert "z.eps (not an image)" in caplog.text


def test_images_of_unknown_range_are_skipped(photos, caplog):
    caplog.set_level("INFO", logger="vaekit")
    Image.fromarray(GREY[0].astype(np.float32)).save(photos / "z.tiff")
    assert len(pixels(photos)) == 12
    assert "z.tiff (mode F has no known range" in caplog.text


def test_empty_and_imageless_folders_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty has 0 files but no readable image: give a folder of images"):
        load(tmp_path / "empty")
    (tmp_path / "empty" / "a.txt").write_text("a")
    with pytest.raises(InputError, match=r"empty has 1 files but no readable image \(a.txt: not an image\)"):
        load(tmp_path / "empty")
    Image.fromarray(GREY[0]).save(tmp_path / "empty" / "b.png")
    (tmp_path / "empty" / "b.png").write_bytes((tmp_path / "empty" / "b.png").read_bytes()[:80])
    with pytest.raises(InputError, match="has 2 files but no readable image"):
        load(tmp_path / "empty")


def test_one_single_image_can_be_encoded_but_not_trained_on(tmp_path, caplog):
    caplog.set_level("INFO", logger="vaekit")
    Image.fromarray(GREY[0]).save(tmp_path / "0.png")
    with pytest.raises(InputError, match="holds a single example"):
        load(tmp_path)
    assert np.array_equal(pixels(tmp_path)[0, 0], GREY[0])
    assert np.array_equal(read_input(str(tmp_path / "0.png"))[0][0, 0], GREY[0])
    assert read_input(str(tmp_path / "0.png"), event_shape=(3, 4, 4))[0].shape == (1, 3, 4, 4)
    assert "0.png is cropped and resized to 4×4" in caplog.text
    (tmp_path / "1.png").write_text("no image")
    with pytest.raises(InputError, match=r"1.png cannot be read \(not an image\): give an image that Pillow reads"):
        read_input(str(tmp_path / "1.png"))


@pytest.mark.parametrize("limit", [170, 90])
def test_an_image_too_large_to_decode_is_skipped_like_other_bad_ones(photos, monkeypatch, caplog, limit):
    caplog.set_level("INFO", logger="vaekit")
    Image.new("L", (20, 10)).save(photos / "05.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert len(pixels(photos)) == 11
    assert f"skipped 1 of 12 files: 05.png (more than {limit} pixels: scale it down)" in caplog.text
    with pytest.raises(InputError, match=rf"05.png cannot be read \(more than {limit} pixels: scale it down\)"):
        read_input(str(photos / "05.png"))


@pytest.mark.parametrize("suffix", ["heic", "HEIF"])
def test_formats_that_pillow_cannot_read_are_named(tmp_path, suffix):
    (tmp_path / f"1.{suffix}").write_bytes(bytes.fromhex("000000186674797068656963") + bytes(90))
    sentence = rf"1.{suffix}.* Pillow cannot read {suffix.upper()}: convert it to PNG or JPEG"
    with pytest.raises(InputError, match=sentence.replace(".* ", ": ")):
        load(tmp_path)
    with pytest.raises(InputError, match=sentence.replace(".* ", r" cannot be read \(")):
        read_input(str(tmp_path / f"1.{suffix}"))


def test_a_folder_is_decoded_once(photos, cache, monkeypatch):
    first = load(photos)
    (folder,) = (cache / "images").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["facts.json", "images.npy"]
    monkeypatch.setattr(module, "write", None)
    assert load(photos).space == first.space


def test_a_changed_folder_is_decoded_again(photos):
    first = load(photos)
    Image.fromarray(GREY[1]).save(photos / "00.png")
    os.utime(photos / "00.png", ns=(1, 1))
    assert load(photos).space.digest != first.space.digest
    assert np.array_equal(pixels(photos)[0, 0], GREY[1])


def test_an_interrupted_decoding_leaves_nothing_behind(photos, cache):
    def interrupted(files):
        yield files[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Source(name=str(photos)).load(progress=interrupted)
    assert list((cache / "images").iterdir()) == []
    assert load(photos).space.sizes["train"] == 10


def test_order_and_digest_do_not_depend_on_which_thread_is_first(photos, monkeypatch):
    first = load(photos).space.digest
    decode = decoding.decode

    def late(path, *options):
        time.sleep(0.02 * (path.stem < "04"))
        return decode(path, *options)

    monkeypatch.setattr(decoding, "decode", late)
    os.utime(photos / "00.png", ns=(1, 1))
    assert load(photos).space.digest == first
    assert np.array_equal(pixels(photos)[:, 0], GREY)


def test_progress_sees_every_file(photos):
    seen = []

    def progress(files):
        for i, path in enumerate(files, 1):
            seen.append(f"{i} of {len(files)}: {path.name}")
            yield path

    Source(name=str(photos)).load(progress=progress)
    assert len(seen) == 12
    assert seen[-1] == "12 of 12: 11.png"


def test_a_full_disk_is_told_before_decoding(photos, cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(RunError, match=r"takes 0.0 GB when decoded, but the cache .* has 0.0 GB left: make room"):
        load(photos)
    assert list((cache / "images").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(photos, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in the way")
    with pytest.raises(RunError, match=r"the cache .* cannot be written .*: .*make it writable, or set VAEKIT_CACHE"):
        load(photos)


def test_large_folders_stay_on_disk(photos, cache, monkeypatch):
    small = load(photos)
    for name in ("arrays", "source", "data"):
        monkeypatch.setattr(f"vaekit.data.{name}.RESIDENT", 0)
    large = load(photos)
    assert large.space == small.space
    assert len(large.train.x) == 12
    rows = torch.arange(10)
    assert torch.equal(large.train.batch(rows).x, small.train.batch(rows).x)


def test_real_photographs(real, caplog):
    caplog.set_level("INFO", logger="vaekit")
    folder = real / "sign_language_digits"
    data = load(folder)
    assert data.space.event_shape == (3, 100, 100)
    assert data.space.classes == tuple("0123456789")
    labels = torch.cat([data.train.labels, data.validation.labels, data.test.labels])
    assert labels.bincount().tolist() == [205, 206, 206, 206, 207, 207, 207, 203, 208, 204]
    means = read_input(str(folder))[0].mean((0, 2, 3))
    assert means == pytest.approx([172.03, 164.65, 157.11], abs=0.01)
    assert "skipped 1 of 2060 files" in caplog.text
    assert "LICENSE (not an image)" in caplog.text
