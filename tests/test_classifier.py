"""The classifier: what it must reach, that it is kept and found again, what it is unsure of, what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from vaekit.cli import main
from vaekit.data import Source
from vaekit.data.cache import cache_folder
from vaekit.errors import InputError, RunError
from vaekit.evaluation import classifier, recognition
from vaekit.evaluation.classifier import classifier_for, share
from vaekit.evaluation.recognition import Network, blurred, outliers, shifted


def untrained(steps):
    raise AssertionError("the cache should have been used")


@pytest.fixture(scope="module")
def digits():
    return Source(name="digits").load()


@pytest.fixture(scope="module")
def recognizer(digits):
    return classifier_for(digits)


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Ten steps, where it does not matter what is learned, and a cache of the test's own."""
    recipe = replace(recognition.RECIPE, steps=10, epochs=1, batch_size=8, outliers=3)
    monkeypatch.setattr(recognition, "RECIPE", recipe)
    monkeypatch.setattr(classifier, "RECIPE", recipe)
    monkeypatch.setattr("pooch.os_cache", (tmp_path / "cache").joinpath)
    return cache_folder() / "classifiers"


def images(path, shape, classes, n=24):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (n, *shape), dtype=np.uint8)
    np.savez(path, x=x, labels=np.arange(n) % classes)
    return Source(name=str(path), split="0.5/0.5").load()


def test_digits_are_recognized(recognizer, digits):
    assert recognizer.accuracy.value > 0.97
    assert recognizer.accuracy.samples == len(digits.test)
    p = recognizer.probabilities(digits.test.batch(torch.arange(len(digits.test))).x)
    assert torch.allclose(p.sum(1), torch.ones(len(p)))
    assert float((p.argmax(1) == digits.test.labels).double().mean()) == recognizer.accuracy.value


def test_it_is_trained_once_and_says_what_it_is(recognizer, digits):
    again = classifier_for(digits, track=untrained)
    assert (again.digest, again.accuracy, again.path) == (recognizer.digest, recognizer.accuracy, recognizer.path)
    x = digits.test.batch(torch.arange(9)).x
    assert torch.equal(again.features(x), recognizer.features(x))
    facts = json.loads((recognizer.path / "facts.json").read_text())
    assert facts["accuracy"]["value"] == recognizer.accuracy.value
    assert facts["digest"] == recognizer.digest
    assert facts["data"] == digits.space.digest
    assert {"vaekit", "seed", "epochs", "recipe", "split", "source", "event_shape"} <= set(facts)
    assert sorted(path.name for path in recognizer.path.iterdir()) == ["facts.json", "weights.safetensors"]


def test_every_binarization_is_measured_with_the_same_classifier(recognizer):
    for binarization in ("dynamic", "static", "threshold"):
        source = Source(name="digits", binarization=binarization)
        assert classifier_for(replace(source, binarization="none").load(), track=untrained).digest == recognizer.digest
        with pytest.raises(InputError, match="learns gray images: load it with none"):
            classifier_for(source.load())


def legible(recognizer, x):
    return float((recognizer.probabilities(x).amax(1) > 0.9).double().mean())


def test_it_is_unsure_of_images_of_nothing(recognizer, digits):
    test = digits.test.batch(torch.arange(len(digits.test))).x
    torch.manual_seed(1)
    assert legible(recognizer, torch.rand(300, 1, 8, 8)) < 0.03
    assert legible(recognizer, test.flatten(1)[:, torch.randperm(64)].view_as(test)) < 0.03
    assert legible(recognizer, torch.linspace(0, 1, 300)[:, None, None, None].expand(-1, 1, 8, 8)) == 0
    assert legible(recognizer, test) > 0.9


def test_smooth_images_are_recognized_as_what_a_model_decodes_is_smooth(recognizer, digits):
    train = digits.train.batch(torch.arange(len(digits.train))).x
    means = torch.stack([train[digits.train.labels == k].mean(0) for k in range(10)])
    assert recognizer.probabilities(means).argmax(1).tolist() == list(range(10))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_is_trained_even_where_gradients_are_switched_off(digits, quick, mode):
    with mode():
        inside = classifier_for(digits).digest
    shutil.rmtree(quick)
    assert classifier_for(digits).digest == inside


def test_the_seed_decides_and_nothing_outside_is_touched(digits, quick):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = classifier_for(digits)
    assert torch.equal(torch.rand(1), expected)
    other = classifier_for(digits, seed=1)
    assert other.digest != first.digest
    first.path.rename(quick / "first")
    assert classifier_for(digits).digest == first.digest


def test_another_split_has_another_classifier(digits, quick):
    assert classifier_for(digits).path != classifier_for(Source(name="digits", split="0.8/0.2").load()).path
    assert classifier_for(digits).path != classifier_for(Source(name="digits", seed=1).load()).path


@pytest.mark.parametrize(
    ("shape", "classes"), [((8, 8), 2), ((28, 20), 10), ((9, 70, 3), 3), ((100, 100, 3), 12), ((33, 32), 24)]
)
def test_images_of_any_size_and_number_of_classes(tmp_path, quick, shape, classes):
    data = images(tmp_path / "x.npz", shape, classes)
    found = classifier_for(data)
    x = data.test.batch(torch.arange(len(data.test))).x
    assert found.features(x).shape == (len(x), recognition.RECIPE.features)
    assert found.probabilities(x).shape == (len(x), classes)
    assert torch.allclose(found.probabilities(x[:1]), found.probabilities(x)[:1], atol=1e-6)


def test_an_image_folder_has_a_classifier(tmp_path, quick):
    for k, (name, level) in enumerate({"dark": 20, "light": 220}.items()):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.random.default_rng(20 * k + i).integers(level - 20, level + 20, (12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    found = classifier_for(Source(name=str(tmp_path / "images")).load())
    assert found.network.head.out_features == 2


def test_what_cannot_be_classified_is_refused(tmp_path, quick):
    np.save(tmp_path / "plain.npy", np.random.default_rng(0).integers(0, 256, (20, 9, 9), dtype=np.uint8))
    np.savetxt(tmp_path / "rows.csv", np.random.default_rng(0).normal(size=(20, 3)), delimiter=",")
    refused = {
        "has no labels.*choose a labeled set such as mnist": Source(name=str(tmp_path / "plain.npy")).load(),
        "examples of 3: the classifier needs images": Source(name=str(tmp_path / "rows.csv")).load(),
        "1×7×9: the classifier needs images of at least 8×8": images(tmp_path / "small.npz", (7, 9), 2),
        "has a single class": images(tmp_path / "one.npz", (9, 9), 1),
    }
    for sentence, data in refused.items():
        with pytest.raises(InputError, match=sentence):
            classifier_for(data)
    assert not quick.exists()


def test_an_interrupted_training_leaves_nothing(digits, quick):
    def interrupt(steps):
        yield next(iter(steps))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier_for(digits, track=interrupt)
    assert not quick.exists() or not list(quick.iterdir())


def test_a_cache_that_cannot_be_written_is_a_sentence(digits, quick):
    quick.parent.mkdir(parents=True)
    quick.write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        classifier_for(digits)


@pytest.mark.parametrize("damage", ["truncated", "altered", "other shapes", "no weights", "no facts", "no accuracy"])
def test_damage_is_found_before_weights_are_used(digits, quick, damage):
    path = classifier_for(digits).path
    weights, facts = path / "weights.safetensors", path / "facts.json"
    content = bytearray(weights.read_bytes())
    if damage == "truncated":
        weights.write_bytes(content[:-9])
    elif damage == "altered":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "other shapes":
        save_file(Network((1, 28, 28), 10).state_dict(), weights)
    elif damage == "no accuracy":
        facts.write_text("{}")
    else:
        (weights if damage == "no weights" else facts).unlink()
    with pytest.raises(InputError, match=r"is damaged .*delete the folder, and it will be trained again"):
        classifier_for(digits)


def test_a_shift_moves_whole_pixels_and_all_of_them_occur():
    torch.manual_seed(0)
    x = torch.rand(1, 2, 16, 16)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    windows = [padded[0, :, i : i + 16, j : j + 16] for i in range(3) for j in range(3)]
    moved = shifted(x.expand(200, -1, -1, -1))
    matches = torch.stack([(moved == window).flatten(1).all(1) for window in windows])
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 5).all()


def test_images_of_nothing_are_noise_one_level_and_shuffled_pixels_by_turns():
    x = torch.rand(7, 3, 8, 9).round()
    nothing = outliers(x)
    assert nothing.shape == x.shape
    assert len(nothing[::3].unique()) == nothing[::3].numel()
    assert len(nothing[1].unique()) == 3  # a level a channel
    assert not torch.equal(nothing[2], x[2])
    assert torch.equal(nothing[2::3].sum((2, 3)), x[2::3].sum((2, 3)))  # the same pixels, elsewhere


def test_every_other_image_is_blurred_in_part():
    torch.manual_seed(0)
    x = torch.rand(40, 3, 9, 8).round()
    found = blurred(x)
    assert torch.equal(found[1::2], x[1::2])
    spread = found[::2].std((1, 2, 3)) / x[::2].std((1, 2, 3))
    assert 0.2 < spread.min() < 0.5 < 0.8 < spread.max() <= 1
    assert torch.allclose(blurred(torch.ones(4, 1, 9, 8)), torch.ones(4, 1, 9, 8))  # no dark border


def test_a_share_knows_its_error():
    hits = torch.arange(1000) < 300
    value, error, samples = share(hits)
    assert (value, samples) == (0.3, 1000)
    assert error == pytest.approx((0.3 * 0.7 / 1000) ** 0.5, rel=1e-3)
    assert share(torch.ones(64, dtype=torch.bool)).standard_error > 0.01


def test_one_command_trains_it(recognizer, capsys):
    assert main(["data", "classifier", "digits", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["digest"] == recognizer.digest
    assert found["path"] == str(recognizer.path)
    assert found["accuracy"]["value"] == recognizer.accuracy.value
    assert main(["data", "classifier", "digits", "--quiet"]) == 0
    assert capsys.readouterr().out == f"{recognizer.path}\n"
    assert main(["data", "classifier", "digits"]) == 0
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert printed.endswith(f"{recognizer.path}\n")
    assert main(["data", "classifier", "frey"]) == 2
