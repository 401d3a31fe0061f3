"""Sample quality: closed forms, torchmetrics on the same features, degenerate cases, models whose verdict is known."""

import os
import warnings
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from vaekit.data import Source, Split
from vaekit.errors import InputError
from vaekit.evaluation.classifier import classifier_for
from vaekit.evaluation.features import frechet_distance
from vaekit.evaluation.neighbors import Nearest, blocks, closest, distance_ratio, nearest
from vaekit.evaluation.quality import measure
from vaekit.evaluation.samples import (
    class_counts,
    confusion,
    inception_score,
    judge,
    legibility,
)
from vaekit.model import VAE
from vaekit.reporting import plots

CACHE = pooch.os_cache  # the user's, before tests are kept from it: a classifier that is there is read, never written


def probabilities(n, classes, sharpness=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(n, classes, generator=generator, dtype=torch.float64)).softmax(1)


def gaussian(n, mean, covariance, seed=0):
    """Features whose mean and covariance are exactly these."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (n - 1)), x.T, upper=False).T
    return white @ torch.linalg.cholesky(covariance).T + mean


def covariance(d, seed):
    a = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a @ a.T + 0.1 * torch.eye(d, dtype=torch.float64)


class Identity(nn.Module):
    """What torchmetrics takes for a network: the features are the input."""

    def __init__(self, d):
        super().__init__()
        self.num_features = d

    def forward(self, x):
        return x


# Inception score


def test_the_inception_score_runs_from_one_to_the_number_of_classes():
    assert inception_score(torch.full((50, 7), 1 / 7)).value == pytest.approx(1, abs=1e-6)
    assert inception_score(torch.eye(7).repeat(50, 1)).value == pytest.approx(7, abs=1e-6)
    one_class = torch.eye(7)[:1].expand(50, 7)
    assert inception_score(one_class)[:3] == (1.0, 0.0, 0.0)
    for seed in range(20):
        score = inception_score(probabilities(40, 5, seed=seed), splits=4)
        assert 1 < score.value < 5


def test_it_is_the_exponential_of_the_mean_and_not_the_mean_of_exponentials():
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], dtype=torch.float64)
    marginal = p.mean(0)
    each = (p * (p / marginal).log()).sum(1)
    assert inception_score(p, splits=1).value == pytest.approx(float(each.mean().exp()), rel=1e-12)
    assert abs(float(each.exp().mean()) - float(each.mean().exp())) > 1e-2


def test_the_order_of_images_does_not_matter_even_if_they_are_sorted_by_class():
    p = probabilities(1000, 10)
    whole = inception_score(p, splits=1).value
    assert inception_score(p[torch.randperm(1000)], splits=1).value == pytest.approx(whole, rel=1e-12)
    by_class = p[p.argmax(1).argsort()]
    score = inception_score(by_class)
    assert score.value == pytest.approx(whole, rel=0.06)  # the bias of splits of 100 images of 10 classes
    assert (score.splits, score.samples) == (10, 1000)


@pytest.mark.parametrize(("n", "splits"), [(1000, 10), (503, 7), (40, 1)])
def test_the_inception_score_is_that_of_torchmetrics(n, splits):
    from torchmetrics.image.inception import InceptionScore

    logits = 3 * torch.randn(n, 10, generator=torch.Generator().manual_seed(n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the memory that it takes, and a deviation over one split
        theirs = InceptionScore(Identity(10), splits=splits)
        order = torch.cat([torch.arange(n)[k::splits] for k in range(splits)])
        torch.manual_seed(0)
        shuffle = torch.randperm(n).argsort()  # undoes what it shuffles
        theirs.update(logits[order][shuffle])
        torch.manual_seed(0)
        mean, deviation = (float(value) for value in theirs.compute())
    ours = inception_score(logits.softmax(1), splits)
    assert ours.value == pytest.approx(mean, abs=1e-4)
    assert (splits == 1 and np.isnan(ours.standard_deviation)) or abs(ours.standard_deviation - deviation) < 1e-4


@pytest.mark.parametrize("splits", [0, 6])
def test_fewer_images_than_splits_are_refused(splits):
    with pytest.raises(InputError, match=f"5 images cannot be cut into {splits} splits"):
        inception_score(torch.full((5, 2), 0.5), splits)


# Fréchet distance


def test_the_distance_of_two_gaussians_has_a_closed_form():
    a, b = covariance(6, 0), covariance(6, 1)
    mean = torch.arange(6.0, dtype=torch.float64)
    found = frechet_distance(gaussian(200, mean, a), gaussian(300, -mean, b, seed=1), groups=2)
    expected = 4 * mean.square().sum() + torch.trace(a + b) - 2 * np.trace(sqrtm((a @ b).numpy())).real
    assert found.of_samples == pytest.approx(float(expected), rel=1e-9)
    assert found.samples == 200


def test_the_distance_of_one_feature_and_of_sets_alike():
    a = gaussian(50, torch.tensor([1.0]), torch.tensor([[4.0]], dtype=torch.float64))
    b = gaussian(50, torch.tensor([3.0]), torch.tensor([[9.0]], dtype=torch.float64))
    assert frechet_distance(a, b).of_samples == pytest.approx((3 - 1) ** 2 + (3 - 2) ** 2)
    assert 0 <= frechet_distance(a, a.flip(0)).of_samples < 1e-9
    constant = torch.ones(20, 3)
    assert frechet_distance(constant, 3 * constant)[:2] == (12.0, 0.0)


@pytest.mark.parametrize(("n", "m", "d"), [(500, 500, 16), (300, 200, 64), (20, 30, 64)])
def test_the_distance_is_that_of_torchmetrics_for_singular_covariances_too(n, m, d):
    from torchmetrics.image.fid import FrechetInceptionDistance

    generator = torch.Generator().manual_seed(d)
    a = torch.randn(n, d, generator=generator).relu()
    b = (torch.randn(m, d, generator=generator) * torch.linspace(0.1, 2, d) + 0.3).relu()
    theirs = FrechetInceptionDistance(Identity(d)).set_dtype(torch.float64)
    theirs.update(a.double(), real=True)
    theirs.update(b.double(), real=False)
    ours = frechet_distance(a, b, groups=2).of_samples
    assert ours == pytest.approx(float(theirs.compute()), abs=1e-4)
    assert frechet_distance(b, a, groups=2).of_samples == pytest.approx(ours, rel=1e-9)
    assert frechet_distance(a[torch.randperm(n)], b, groups=2).of_samples == pytest.approx(ours, rel=1e-9)


def test_the_standard_error_is_the_spread_over_fresh_images():
    torch.manual_seed(0)
    d, n = 8, 400
    found = [frechet_distance(torch.randn(n, d), torch.randn(n, d) + 0.5) for _ in range(60)]
    values = torch.tensor([each.value for each in found])
    errors = torch.tensor([each.standard_error for each in found])
    # 60 values tell a standard deviation to within a tenth; the errors scatter less.
    assert float(errors.mean() / values.std()) == pytest.approx(1, abs=0.3)


def test_one_image_has_no_covariance():
    with pytest.raises(InputError, match="the Fréchet distance of 1 and 9 images is undefined"):
        frechet_distance(torch.ones(1, 3), torch.ones(9, 3))


# Shares and counts


def test_legible_is_what_passes_the_threshold():
    p = torch.tensor([[0.95, 0.05], [0.5, 0.5], [0.1, 0.9], [0.01, 0.99]])
    assert legibility(p).value == 0.5  # 0.9 itself does not exceed 0.9
    assert legibility(p, threshold=0.4).value == 1
    assert class_counts(p) == [2, 2]
    assert class_counts(torch.eye(5)[[4, 4]]) == [0, 0, 0, 0, 2]


def test_a_confusion_matrix_has_inputs_in_rows():
    labels = torch.tensor([7, 7, 9, 0])
    found = confusion(labels, torch.eye(10)[[7, 9, 9, 0]])
    assert (found[7][7], found[7][9], found[9][7], found[9][9], found[0][0]) == (1, 1, 0, 1, 1)
    assert sum(map(sum, found)) == 4


# Nearest training images


@pytest.mark.parametrize("block", [1, 7, 50])
def test_the_nearest_image_is_that_of_brute_force(block):
    torch.manual_seed(0)
    training, images = torch.rand(50, 1, 4, 4), torch.rand(9, 1, 4, 4)
    found = nearest(images, training.split(block))
    distances = torch.cdist(images.flatten(1), training.flatten(1))
    assert torch.equal(found.row, distances.argmin(1))
    assert torch.allclose(found.distance, distances.amin(1), atol=1e-6)


def test_a_copy_has_no_distance_however_large_its_values():
    torch.manual_seed(0)
    training = 100 * torch.rand(300, 1, 28, 28)
    found = nearest(training[[250, 3]], training.split(64))
    assert found.row.tolist() == [250, 3]
    assert found.distance.tolist() == [0, 0]


def test_many_images_are_looked_up_in_parts(monkeypatch):
    torch.manual_seed(0)
    training, images = torch.rand(30, 5), torch.rand(40, 5)
    whole = nearest(images, [training])
    monkeypatch.setattr("vaekit.evaluation.neighbors.QUERIES", 7)
    assert torch.equal(nearest(images, training.split(4)).row, whole.row)


def test_blocks_hold_all_images_in_order_and_little_at_once(monkeypatch):
    split = Split(torch.arange(24, dtype=torch.uint8).reshape(6, 1, 2, 2), levels=255)
    monkeypatch.setattr("vaekit.evaluation.neighbors.VALUES", 8)
    found = list(blocks(split))
    assert [len(block) for block in found] == [2, 2, 2]
    assert torch.equal(torch.cat(found), split.x / 255)


def test_the_ratio_and_its_error():
    a = Nearest(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, dtype=torch.long))
    b = Nearest(torch.tensor([4.0, 4.0, 4.0]), torch.zeros(3, dtype=torch.long))
    value, error, samples = distance_ratio(a, b)
    assert (value, samples) == (0.5, 3)
    assert error == pytest.approx(1 / 3**0.5 / 4)
    nothing = Nearest(torch.zeros(3), a.row)
    assert distance_ratio(nothing, b)[:2] == (0, 0)
    with pytest.raises(InputError, match="every held-out image is also a training image"):
        distance_ratio(a, nothing)


# A whole model


class Given(VAE):
    """A model that samples from images that it was given, and reconstructs by a function."""

    def __init__(self, images, reconstruct=lambda x: x):
        nn.Module.__init__(self)
        self.images, self.function = images, reconstruct

    def sample(self, n, noise=False):
        return self.images[torch.randint(len(self.images), (n,))]

    def reconstruct(self, x):
        return self.function(x)


@pytest.fixture(scope="module")
def digits():
    return Source(name="digits").load()


@pytest.fixture(scope="module")
def recognizer(digits):
    return classifier_for(digits)


def everything(split):
    return split.batch(torch.arange(len(split))).x


def test_a_model_that_repeats_its_training_images_is_found_out(digits, recognizer):
    model = Given(everything(digits.train))
    torch.manual_seed(0)
    quality = measure(model, recognizer, digits, digits.test)
    samples, test = quality.table["samples"], quality.table["test"]
    assert quality.distance_ratio[:2] == (0, 0)
    assert quality.nearest["samples"].value == 0
    assert quality.nearest["test"].value > 0.5
    assert samples.legibility.value > 0.95
    assert samples.inception_score.value == pytest.approx(test.inception_score.value, abs=0.6)
    floor = quality.table["train"].frechet_distance
    assert abs(samples.frechet_distance.value - floor.value) < 4 * floor.standard_error
    assert test.frechet_distance is None
    assert np.trace(quality.confusion) / np.sum(quality.confusion) == quality.table["reconstructions"].agreement.value
    assert quality.table["reconstructions"].agreement.value == recognizer.accuracy.value
    assert {m.inception_score.samples for m in quality.table.values()} == {360}
    torch.manual_seed(0)
    assert repr(measure(model, recognizer, digits, digits.test)) == repr(quality)


def test_one_image_over_and_over_scores_nothing_and_noise_is_not_legible(digits, recognizer):
    mean = everything(digits.train).mean(0, keepdim=True)
    model = Given(mean, lambda x: mean.expand_as(x))
    table = measure(model, recognizer, digits, digits.test, images=200, neighbors=50).table
    for name in ("samples", "reconstructions", "noise", "mean image"):
        assert table[name].inception_score.value < 1.5, name
        assert table[name].frechet_distance.value > 10 * table["train"].frechet_distance.value, name
    assert table["noise"].legibility.value < 0.03
    assert table["samples"].inception_score.value == pytest.approx(1)
    assert sum(table["samples"].class_counts) == 200
    assert table["samples"].agreement is None
    assert table["reconstructions"].agreement.value < 0.3


def test_runs_on_bits_are_measured_in_grey(digits, recognizer):
    bits = Source(name="digits", binarization="dynamic").load().fixed("validation")
    shown = []
    model = Given(everything(digits.train), lambda x: shown.append(x) or x)
    quality = measure(model, recognizer, digits, bits, split="validation")
    assert set(torch.cat(shown).unique().tolist()) == {0, 1}
    assert quality.table["validation"].inception_score.samples == 180
    assert quality.table["validation"].agreement.value > 0.97


def test_few_images_and_training_images_are_refused(digits, recognizer):
    model = Given(everything(digits.train))
    with pytest.raises(InputError, match="9 images cannot be cut into 10 splits"):
        measure(model, recognizer, digits, digits.test, images=9)
    with pytest.raises(InputError, match="choose test or validation"):
        measure(model, recognizer, digits, digits.train, split="train")


def test_the_closest_pairs_come_first(digits):
    images = torch.cat([everything(digits.test)[:20], everything(digits.train)[30:32]])
    found = nearest(images, blocks(digits.train))
    shown, beside = closest(images, found, digits.train, 5)
    distances = (shown - beside).flatten(1).norm(dim=1)
    assert distances[:2].tolist() == [0, 0]
    assert (distances.diff() >= 0).all()
    assert torch.allclose(distances, found.distance.sort().values[:5])


# The figure


def test_a_confusion_matrix_is_written_where_there_is_room(tmp_path):
    counts = np.diag([90, 100, 0]) + np.array([[0, 10, 0], [0, 0, 0], [0, 0, 0]])
    figure = plots.confusion(counts, ["zero", "one", "two"], title="confusion", note="digits, split 2/1")
    plots.save(figure, tmp_path, "confusion")
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert texts == ["90.0", "90", "10.0", "10", "100", "100"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["zero", "one", "two"]
    assert figure.axes[0].get_ylim() == (3, 0)
    assert figure.get_label() == (
        "Confusion matrix of 200 images: 95.0 % keep their class; most often zero becomes one, 10.0 %."
    )


@pytest.mark.parametrize("n", [2, 10, 15, 101])
def test_every_number_of_classes_can_be_drawn(tmp_path, n):
    counts = np.random.default_rng(0).integers(0, 1000, (n, n))
    names = [f"a class with a long name {k}" for k in range(n)] if n % 2 else None
    figure = plots.confusion(counts, names, title="confusion")
    plots.save(figure, tmp_path, "confusion")
    assert len(figure.axes) == (1 if n <= 14 else 2)
    assert len(figure.axes[0].get_xticks()) <= 40


# MNIST


def test_mnist_test_images_score_as_they_must(monkeypatch):
    root = Path(os.environ.get("VAEKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / "MNIST").is_dir():
        pytest.skip("no MNIST here: set VAEKIT_DATA to a folder that holds it")

    def skip(steps):
        pytest.skip("no MNIST classifier in the cache: run vaekit data classifier mnist")

    monkeypatch.setattr("pooch.os_cache", CACHE)
    data = Source(name="mnist").load(root)
    found = classifier_for(data, track=skip)
    assert found.accuracy.value >= 0.992
    test = judge(found, (data.test.batch(rows).x for rows in torch.arange(10_000).split(250)))
    score = inception_score(test.probabilities)
    assert score.value == pytest.approx(9.88, abs=0.1)
    assert legibility(test.probabilities).value > 0.97
