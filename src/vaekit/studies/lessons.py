"""What the reproductions teach, in plain words; each lesson quotes stored results, and is told if they support it."""

from collections import Counter
from collections.abc import Callable, Mapping

from vaekit.errors import InputError
from vaekit.studies import frans_losses as frans
from vaekit.studies import kth_bounds as bounds
from vaekit.studies import kth_evidence as evidence
from vaekit.studies import kth_likelihood as likelihood
from vaekit.studies import kth_pictures as pictures
from vaekit.studies import kth_trials as trials
from vaekit.studies import ncsu_losses, ncsu_network, ncsu_samples, ncsu_uses
from vaekit.studies import wei_codes as wei
from vaekit.studies import wei_uses as uses
from vaekit.studies.aevb import STEPS
from vaekit.studies.aragam_codes import EMPTY
from vaekit.studies.aragam_experiments import AUTO_ENCODER, VARIATIONAL, label
from vaekit.studies.aragam_pictures import LEGIBLE_SAMPLES, READ, SAMPLES_SHOWN, THRESHOLDS, read
from vaekit.studies.catalog import STUDIES
from vaekit.studies.findings import find, verdict
from vaekit.studies.study import (
    BETTER,
    CORRECTED,
    FAILED,
    REPRODUCED,
    Findings,
    Result,
    clear,
    counted,
    number,
    written,
)

HEAD = """# What we learned

The short version of the [table of all verdicts](README.md), written by the same command: every number below that we
measured comes from a stored result, and a lesson that the results do not support is left out.
"""
FOOT = """
## How to read a report, or write one

- Trust a difference only if it is larger than the one between two random seeds.
- Ask which images a number is for: training or test, the first hundred or all, a batch or an epoch.
- Beating a published curve is not reproducing it: something is different, and it is worth knowing what.
- A claim about fifty epochs takes fifty epochs to check.
- Write down the first weights, the optimizer's step and the split: without them, nobody can say why numbers differ.
"""


class UnsupportedError(InputError):
    """A lesson that the stored results do not support."""


def supported(found: Findings, study: str, artifact: str, *words: str) -> Result:
    """Return the result of an artifact, if its verdict is one of these words, and it is not a short training's.

    Raises:
        InputError: if there is none, or its verdict is another.
    """
    result = found[study, artifact]
    if verdict(find(next(each for each in STUDIES if each.name == study), artifact), result).word not in words:
        raise UnsupportedError(f"{study} {artifact} says otherwise")
    return result


def require(holds: bool) -> None:
    """Leave a lesson out unless the numbers say so."""
    if not holds:
        raise UnsupportedError("the numbers say otherwise")


def percent(share: float) -> str:
    """Write a share.

    Example:
        >>> percent(0.3876)
        '38.8%'
    """
    return f"{100 * share:.1f}%"


def plane(found: Findings) -> str:
    """Two latents sort digits."""
    result = supported(found, "wei", "W1", REPRODUCED)
    share, three, eight = (
        percent(result.value(wei.LABEL, name)) for name in (wei.NEIGHBORS, wei.becomes(3), wei.becomes(8))
    )
    return (
        f"**Two numbers per image sort handwriting.** Nobody tells the network what a 7 is, and yet {share} of the "
        "test digits have the class of the codes next to theirs; a guess would be right for a tenth. Its errors are "
        f"human: {three} of the reconstructed fives look like a 3, {eight} like an 8 (Wei, W1)."
    )


def room(found: Findings) -> str:
    """More latents copy better."""
    result = supported(found, "kth2021", "K5", REPRODUCED)
    few, many = (number(result.value(f"mnist, d = {d}", pictures.ERROR)) for d in (2, 20))
    return (
        f"**More room, better copies.** With twenty latents where there were two, the squared error of a copied digit "
        f"falls from {few} to {many} (KTH, K5)."
    )


def gaps(found: Findings) -> str:
    """An auto-encoder has gaps."""
    result = supported(found, "aragam2024", "T1", REPRODUCED)
    holes, whole = (percent(result.value(name, EMPTY)) for name in (AUTO_ENCODER, VARIATIONAL))
    return (
        f"**The KL fills the gaps.** Lay a grid over the middle of the plane of codes: an auto-encoder leaves {holes} "
        f"of its cells empty, a VAE {whole} (Aragam, T1)."
    )


def fourness(found: Findings) -> str:
    """Directions have a meaning."""
    result = supported(found, "ncsu2018", "N7", REPRODUCED, CORRECTED)
    name = ncsu_network.weighted(10)
    before, after = (percent(result.value(name, ncsu_uses.becomes("4", length))) for length in (0, 1))
    return (
        "**Four-ness is a direction.** Push the codes of other digits from their mean toward the mean code of the "
        f"fours: our classifiers see a four with a probability of {before} before and {after} after (NCSU, N7)."
    )


def head_start(found: Findings) -> str:
    """An encoder as the start of a classifier."""
    result = supported(found, "wei", "W6", REPRODUCED)
    fewest = uses.few(min(uses.LABELED))
    gain = result.paired((fewest, uses.start(wei.LABEL)), (fewest, uses.SCRATCH))
    return (
        f"**An encoder is a head start.** With {fewest} a classifier gets "
        f"{percent(result.value(fewest, uses.SCRATCH))} of the test digits right. If it starts from the encoder of a "
        f"VAE that saw the same digits without labels, {100 * gain.value:.1f} points are added (Wei, W6)."
    )


def blur(found: Findings) -> str:
    """Squared errors make images blurry."""
    result = supported(found, "frans2016", "F7", REPRODUCED)
    originals, squares = (
        percent(result.value(frans.SUM, frans.sharp(kind))) for kind in (frans.ORIGINALS, frans.RECONSTRUCTIONS)
    )
    crosses = percent(result.value(frans.CROSS, frans.sharp(frans.RECONSTRUCTIONS)))
    return (
        f"**Blur can be measured, and the loss chooses it.** Fine detail, at high frequencies, makes up {originals} of "
        f"the energy of a digit. Trained on squared errors, a VAE keeps {squares}; on the cross-entropy, {crosses} "
        "(Frans, F7)."
    )


def patience(found: Findings) -> str:
    """Fifty epochs do not overfit."""
    result = supported(found, "ncsu2018", "N2", REPRODUCED, BETTER)
    gap = result.value(ncsu_network.NOTEBOOK, ncsu_losses.gap(ncsu_losses.LATE))
    return (
        "**Fifty epochs, and no overfitting.** In the last ten of them, the loss per pixel of held-out images differs "
        f"from that of training images by {gap:+.4f} (NCSU, N2)."
    )


def steps(found: Findings) -> str:
    """Adam at Adagrad's steps."""
    result = supported(found, "kth2021", "K1d", REPRODUCED)
    lasted = f"{result.value(trials.adam(STEPS[0]), trials.LASTED):,.0f} images on average at {STEPS[0]}"
    return (
        f"**A step fits one optimizer.** At {', '.join(map(str, STEPS[:-1]))} and {STEPS[-1]}, which the paper tries "
        f"with Adagrad, Adam diverges with every seed, after {lasted}. At 0.001, it learns (KTH, K1d)."
    )


def exponent(found: Findings) -> str:
    """z = μ + σ² ε."""
    result = supported(found, "kth2021", "K7", FAILED)
    right, squared = (result.value(name, bounds.BOUND) for name in (pictures.RIGHT, pictures.SQUARED))
    return (
        f"**One exponent costs {right - squared:.0f} nats.** The report prints z = μ + σ² ε. Trained like that, the "
        f"bound on log p(x) is {squared:.1f} instead of {right:.1f}: the noise is not that of the posterior whose KL "
        "is paid for (KTH, K7)."
    )


def logarithm(found: Findings) -> str:
    """½ Σ (μ² + σ²)."""
    result = supported(found, "frans2016", "F2", FAILED, CORRECTED)
    printed, right = (number(result.value(name, frans.SPREAD)) for name in (frans.PRINTED, frans.RIGHT))
    return (
        "**A lost logarithm turns the VAE off.** Without −log σ², nothing stops the noise from vanishing: σ is "
        f"{printed} instead of {right}, and what is left is an auto-encoder whose codes are kept small. The post's own "
        "code has the logarithm; the post does not (Frans, F2)."
    )


def mean(found: Findings) -> str:
    """The mean of squared errors."""
    result = supported(found, "frans2016", "F3", FAILED)
    kl, right = (number(result.value(name, "KL")) for name in (frans.MEAN, frans.SUM))
    return (
        f"**A mean is not a sum.** Average the error over {frans.IMAGE} pixels, and the KL weighs {frans.IMAGE} times "
        f"as much. It falls to {kl} nats, where the sum keeps {right}: the codes say nothing, and every digit is "
        "decoded to almost the same gray cloud (Frans, F3)."
    )


def misnomer(found: Findings) -> str:
    """The 'marginal likelihood' of KTH."""
    result = supported(found, "kth2021", "K4", CORRECTED, BETTER)
    entropy, log_evidence = (
        result.value(likelihood.FEW, quantity) for quantity in (likelihood.CROSS_ENTROPY, likelihood.EVIDENCE)
    )
    require(entropy > log_evidence)
    return (
        "**A number can have the wrong name.** What the report calls marginal likelihood leaves out what the codes "
        f"cost. On the same test images it says {entropy:.1f} nats where the log-evidence is about {log_evidence:.1f} "
        "(KTH, K4)."
    )


def hidden_weight(found: Findings) -> str:
    """The β of averages."""
    result = found["ncsu2018", "N3"]
    plain, weighted = (
        result.value(each(20), ncsu_samples.DISTANCE) for each in (ncsu_network.one, ncsu_network.weighted)
    )
    require(weighted > plain)
    return (
        "**Averages hide weights.** The code behind the NCSU report averages over pixels and over latents, so that the "
        f"KL of twenty latents counts {ncsu_network.hidden_beta(20):.3g} times. The pictures show more latents *and* "
        f"less KL. With the KL in full, the samples' distance from real digits is {number(plain)} instead of "
        f"{number(weighted)} (N3)."
    )


def first_weights(found: Findings) -> str:
    """Initial weights."""
    small, large = (found["kth2021", artifact] for artifact in ("K1", "K1c"))
    deviation = {d: small.value(bounds.label(d, bounds.AEVB), bounds.at(1)) for d in (3, 10)}
    variance = {d: large.value(bounds.label(d, bounds.SECOND), bounds.BOUND) for d in deviation}
    changes = {d: variance[d] - deviation[d] for d in deviation}
    require(max(map(abs, changes.values())) > bounds.TOLERANCE["mnist"])
    words = " and ".join(f"by {change:+.1f} nats with {d} latents" for d, change in changes.items())
    return (
        "**A million images later, the first weights still show.** The paper draws them from N(0, 0.01), and 0.01 may "
        "be a variance or a standard deviation. Taken for the variance, the bound after a million images is another: "
        f"{words} (KTH, K1 and K1c)."
    )


def faces(found: Findings) -> str:
    """Frey's faces."""
    result = supported(found, "kth2021", "K2", BETTER, FAILED)
    key = (bounds.label(20, bounds.AEVB), bounds.BOUND)
    printed = bounds.ON_FREY.published(result.size).get(key)
    if printed is None or result.value(*key) - printed <= bounds.TOLERANCE["frey_face"]:
        raise UnsupportedError("the numbers say otherwise")
    tried = found.get(("kth2021", "K2b"))
    return (
        "**We fail to be as slow as the paper.** On Frey's face, the same network, optimizer and number of images give "
        f"a bound of {number(result.value(*key))} nats where the printed curve has {number(printed)} (KTH, K2). "
    ) + (nearest_trial(tried) if tried else "Why, we do not know.")


def nearest_trial(result: Result) -> str:
    """Say which of the trials on Frey's face comes nearest to the paper."""
    heights = {name: height for (name, _), height in trials.published(result.size).items() if name in trials.FACES}
    nearest = min(heights, key=lambda name: abs(result.value(name, bounds.BOUND) - heights[name]))
    return (
        f"Of the {len(heights)} settings that we tried, the nearest is '{nearest.removeprefix('Frey Face, ')}', with "
        f"{number(result.value(nearest, bounds.BOUND))} where {number(heights[nearest])} is printed (K2b)."
    )


def slow_rival(found: Findings) -> str:
    """Monte Carlo EM."""
    key = evidence.quantity(evidence.HARMONIC, evidence.TEST)
    difference = found["kth2021", "K3"].paired(
        (evidence.label(evidence.MANY, evidence.EM), key), (evidence.label(evidence.MANY, evidence.AEVB), key)
    )
    require(difference.value > 0 and clear(difference))  # never for a single seed
    return (
        "**The rival that the paper calls slow is ahead.** With 50,000 training images, Monte Carlo EM ends "
        f"{difference.value:.1f} nats above AEVB here; figure 3 of the paper has the opposite order. It pays with "
        "sampling by many steps for every image, which AEVB does without (KTH, K3)."
    )


def legibility(found: Findings) -> str:
    """Legible to whom."""
    result = found["aragam2024", "A5"]
    shares = [result.value(label(5), read(threshold, READ)) for threshold in THRESHOLDS]
    require(shares[0] - shares[1] > 0.05)
    lenient, strict = (f"{percent(share)} at p > {t:g}" for share, t in zip(shares, THRESHOLDS, strict=True))
    return (
        f"**Legible to whom?** The author could read {LEGIBLE_SAMPLES} of {SAMPLES_SHOWN} samples. Our classifiers "
        f"read {lenient}, {strict}: the same pictures, and two answers. A threshold is part of a claim (Aragam, A5)."
    )


def noise(found: Findings) -> str:
    """Denoising by models that never saw noise."""
    result = supported(found, "wei", "W4", FAILED)
    most = uses.level(max(uses.NOISES))
    two, blurred = (number(result.value(most, name)) for name in (wei.LABEL, uses.SMOOTHED))
    return (
        f"**A VAE is not a noise filter.** Show a network that knows clean digits only one with {most} per pixel, and "
        f"it mistakes the noise for ink. Its picture is {two} away from the clean digit, in squared error; blurring "
        f"over 3×3 pixels comes as near as {blurred} (Wei, W4)."
    )


LESSONS: Mapping[str, tuple[Callable[[Findings], str], ...]] = {
    "What the reports got right": (plane, room, gaps, fourness, head_start, blur, steps, patience),
    "What was wrong, and why": (exponent, logarithm, mean, misnomer, hidden_weight, noise),
    "What surprised us": (first_weights, faces, slow_rival, legibility),
}


def page(found: Findings) -> str:
    """Write the page of the lessons that the results support."""
    words = Counter(
        verdict(artifact, found[study.name, artifact.name]).word
        for study in STUDIES
        for artifact in study.artifacts
        if (study.name, artifact.name) in found
    )
    total = sum(words.values())
    text = HEAD
    if total:
        counts = ", ".join(f"{count} {word}" for word, count in words.most_common())
        claims = sum(len(study.artifacts) for study in STUDIES)
        text += f"\nOf {counted(claims, 'claim')}, {total} are measured so far: {counts}.\n"
    for title, lessons in LESSONS.items():
        told = [lesson for lesson in (written(each, found) for each in lessons) if lesson]
        text += f"\n## {title}\n\n" + "".join(f"- {lesson}\n" for lesson in told) if told else ""
    return text + FOOT
