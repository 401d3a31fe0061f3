"""The post of Frans (2016): a small convolutional VAE on MNIST, the losses that it prints, and what codes are for."""

from vaekit.studies import frans_codes as codes
from vaekit.studies import frans_losses as losses
from vaekit.studies.frans_losses import SCALES
from vaekit.studies.study import Artifact, Study

STUDY = Study(
    name="frans2016",
    title="Variational autoencoders explained (Frans, 2016)",
    citation="Network and optimizer of the code that accompanies the post: kernels of 5, 16 and 32 channels, 20 "
    "latents, Adam at 0.001, batches of 100, gray levels, cross-entropy summed over pixels plus the whole KL.",
    artifacts=(
        Artifact(
            name="F1",
            place="the figure of the first epoch, the ninth epoch and the originals",
            claim="reconstructions look like the originals after nine epochs, in 15 minutes on a laptop without a GPU",
            scales=SCALES,
            experiments=losses.epochs,
            measure=losses.progress,
            verdict=losses.judge_progress,
            judged_by="squared errors, three classifiers",
            headline=(losses.NINTH, losses.LEFT),
            figures=losses.draw_reconstructions,
            published=losses.published_progress,
            source="the post's text; minutes of another machine are shown, not judged",
            tolerance="the squared error has to fall, at 95% over the seeds; and if all 64 reconstructions of the "
            "figure count as good, the chance of that must be at least 5% at the share that each of three classifiers "
            "reads, with p above ½ and above 0.9 (if only some do, it cannot be tested)",
            over_seeds=True,
        ),
        Artifact(
            name="F2",
            place="the code of the latent loss",
            claim="½ Σ (μ² + σ²) keeps the latents near a unit Gaussian",
            scales=SCALES,
            experiments=losses.divergences,
            measure=losses.spreads,
            verdict=losses.judge_spreads,
            judged_by="standard deviations of codes",
            headline=(losses.PRINTED, losses.WIDTH),
            figures=losses.draw_divergences,
            tolerance=f"codes drawn for all images must have a standard deviation within {losses.NEAR} of 1; as a "
            "correction, with the logarithm that the post's own code has and its text leaves out",
        ),
        Artifact(
            name="F3",
            place="the code of the generation loss",
            claim="the mean of squared errors plus the KL trains a VAE",
            scales=SCALES,
            experiments=losses.errors,
            measure=losses.rates,
            verdict=losses.judge_rates,
            judged_by="KL",
            headline=(losses.MEAN, "KL"),
            figures=losses.draw_reconstructions,
            tolerance="a KL of at least 0.1 nats",
        ),
        Artifact(
            name="F4",
            place="the networks of a constant and of one-hot codes; the paragraphs on apples and bananas",
            claim="a decoder memorizes an image from a constant and several from one-hot codes; the noisier the codes, "
            "the fewer images they tell apart",
            scales=SCALES,
            experiments=codes.crowded,
            measure=codes.capacities,
            verdict=codes.judge_capacities,
            judged_by="squared errors, distances of codes, three classifiers",
            headline=(codes.beta(1.0), codes.told(1.0)),
            figures=codes.draw_capacities,
            tolerance=f"less than {codes.SHARE:.0%} of the sum of squares of memorized images may be lost; with more "
            "noise added to codes, shares must not rise by more than two errors, and those of a VAE must fall to less "
            "than half; σ has to rise and the KL to fall with the weight of the KL",
        ),
        Artifact(
            name="F5",
            place="the paragraph on generalization",
            claim="noise in the codes improves what new images and random codes are decoded to",
            scales=SCALES,
            experiments=codes.carried,
            measure=codes.carrying,
            verdict=codes.judge_carrying,
            judged_by="squared errors, three classifiers",
            headline=(codes.scarce(codes.beta(1.0)), codes.NEW),
            tolerance="after training on 1,000 images, a smaller squared error of new images, and more legible images "
            "(p > ½) from random codes, than without noise, both at 95% over the seeds; random codes are Gaussian, "
            "with mean and covariance of the codes of training images",
            over_seeds=True,
        ),
        Artifact(
            name="F6",
            place="the paragraph on codes of real numbers",
            claim="random codes are worse for storing images than those of an encoder",
            scales=SCALES,
            experiments=codes.learned,
            measure=codes.storing,
            verdict=codes.judge_storing,
            judged_by="squared errors",
            headline=(codes.stored(max(codes.FEW)), f"{codes.LOST}, {codes.DRAWN}"),
            tolerance="a larger squared error of the training images themselves, at 95% over the seeds, wherever one "
            "of the two is at least a hundredth of the mean image's; decoders have the same first weights and take "
            "equally many steps",
            over_seeds=True,
        ),
        Artifact(
            name="F7",
            place="the last paragraphs",
            claim="squared errors make images blurry",
            scales=SCALES,
            experiments=losses.blurs,
            measure=losses.blurred,
            verdict=losses.judge_blurred,
            judged_by="energy at high frequencies",
            headline=(losses.SUM, losses.sharp(losses.RECONSTRUCTIONS)),
            figures=losses.draw_blurred,
            tolerance="less energy at high frequencies than test images, and than with the code's cross-entropy, of "
            "reconstructions and of samples, at 95% over the seeds",
            over_seeds=True,
        ),
    ),
    errors={
        "the printed KL lacks −log σ² − 1": "F2: its minimum is at σ = 0, so that what is left is a deterministic "
        "auto-encoder with a penalty on its codes.",
        "'mean(square(…))' is printed, but the code sums a cross-entropy": f"F3: the mean gives the KL {losses.IMAGE} "
        "times the weight.",
        "the printed loss sums the KL over the batch and averages the error over everything": "F3 counts each image's "
        "KL once; a sum over the batch would give it a hundred times more weight still.",
        "the encoder outputs a standard deviation that may be negative": "a Gaussian's draws do not depend on the "
        "sign; here the encoder outputs the logarithm.",
        "'unit gaussian … until it reaches one'": "true of the code's KL, not of the printed one: F2.",
    },
)
