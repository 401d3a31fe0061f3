"""The benchmark of Aragam (2024): a convolutional VAE on MNIST at six numbers of latents."""

import dataclasses

from vaekit.studies import aragam_codes as codes
from vaekit.studies import aragam_experiments as experiments
from vaekit.studies import aragam_losses as losses
from vaekit.studies import aragam_pictures as pictures
from vaekit.studies import aragam_scores as scores
from vaekit.studies.aragam_experiments import LONG, SCALES, dimensions, label
from vaekit.studies.scale import SMOKE
from vaekit.studies.study import Artifact, Study

STUDY = Study(
    name="aragam2024",
    title="Benchmark of a variational auto-encoder on MNIST (Aragam, 2024)",
    citation="Network, optimizer and loss follow STAT 453, lecture 17 (Raschka, 2021): sum of squared errors plus KL, "
    "Adam at 0.0005, batches of 256, gray levels, 60,000 training images. Figures 1, 2, 4 and 5 illustrate theory.",
    artifacts=(
        Artifact(
            name="A1",
            place="table",
            claim="KL, reconstruction and total by number of latents after 10 epochs",
            scales=SCALES,
            experiments=experiments.with_longer,
            measure=losses.table,
            verdict=losses.judge_table,
            judged_by="losses",
            headline=(label(5), losses.quantity("total", losses.TEST)),
            published=losses.published_table,
            source="the report's table, whose columns add up to within 1e-5; it does not say for which images",
            tolerance=f"{losses.DEVIATIONS} standard deviations of one more training, pooled over the numbers of "
            "latents, and of a batch where the numbers are taken for those of one",
            over_seeds=True,
        ),
        Artifact(
            name="A2",
            place="figures 6–8, and the loss by number of latents",
            claim="total and reconstruction fall and the KL rises; the first loss given for d = 3 is 176.2",
            scales=SCALES,
            experiments=dimensions,
            measure=losses.start_and_end,
            verdict=losses.judge_start,
            judged_by="losses",
            headline=(label(3), losses.quantity("total", losses.BEFORE)),
            figures=losses.draw_curves,
            published=losses.published_start,
            source="the report's text on d = 3, where it is called final",
            tolerance="the curves have to end on the right side of their start; of the first loss, KL (on a log "
            f"scale) and reconstruction have to be among the central {100 * losses.CENTRAL:g}% of {losses.NETWORKS} "
            "untrained networks whose encoders return log σ², as in the code that the report descends from",
        ),
        Artifact(
            name="A3",
            place="figures 9 and 11",
            claim="7 and 9 overlap in the latent space of two and three dimensions",
            scales=SCALES,
            experiments=experiments.planes,
            measure=pictures.mistaken,
            verdict=pictures.judge_mistaken,
            judged_by="nearest codes",
            headline=(label(2), pictures.pair(pictures.SEVEN, pictures.NINE)),
            figures=pictures.draw_planes,
            tolerance=f"above the mean of the other pairs by more than {pictures.ERRORS} errors, at two and three "
            "latents; corrected if other pairs, which the report does not mention, overlap more",
        ),
        Artifact(
            name="A4",
            place="figures 10 and 12, and the reconstructions of 15 digits",
            claim="all 15 digits shown are reconstructed at d = 5, which is best",
            scales=SCALES,
            experiments=dimensions,
            measure=pictures.kept,
            verdict=pictures.judge_kept,
            judged_by="three of our classifiers",
            headline=(label(5), pictures.read(0.5, pictures.KEPT)),
            figures=pictures.draw_reconstructions,
            published=pictures.published_kept,
            source="the report's text",
            tolerance="15 has to be in the central 95% of the binomial distribution of each classifier at both "
            f"thresholds, and no other number of latents may keep more by over {pictures.ERRORS} errors",
        ),
        Artifact(
            name="A5",
            place="figures 13–18",
            claim="60 of 64 prior samples are legible at d = 5",
            scales=SCALES,
            experiments=dimensions,
            measure=pictures.legible,
            verdict=pictures.judge_legible,
            judged_by="three of our classifiers",
            headline=(label(5), pictures.read(0.5, pictures.READ)),
            figures=pictures.draw_samples,
            published=pictures.published_legible,
            source="the report's text, as its author read them",
            tolerance="60 has to be in the central 95% of the binomial distribution of each classifier at both "
            "thresholds; if only some of them agree, our classifiers cannot decide",
        ),
        Artifact(
            name="A6",
            place="the conclusion and the proposals at the end",
            claim="d = 5 is best; scores, other networks and interpolations remain to be done",
            scales=SCALES,
            experiments=experiments.with_other,
            measure=scores.scores,
            verdict=scores.judge_scores,
            judged_by="our classifier",
            headline=(label(5), scores.SCORE),
            figures=scores.draw_scores,
            tolerance=f"d = 5 has to be better than every other by a score, and no other may be better by any, each "
            f"by more than {pictures.ERRORS} errors of a difference over the seeds (over images, for a single seed)",
        ),
        Artifact(
            name="A7",
            place="figures 6–8, and the proposals at the end",
            claim="after 10 epochs the loss has not flattened, and more epochs improve it",
            scales=LONG,
            experiments=experiments.all_longer,
            measure=losses.still_falling,
            verdict=losses.judge_longer,
            judged_by="losses",
            headline=(experiments.longer(5), losses.GAIN),
            figures=losses.draw_longer,
            tolerance="the total of held-out images has to fall at all six numbers of latents",
        ),
        Artifact(
            name="A8",
            place="the discussion of the table",
            claim="in higher dimensions the KL term dominates",
            scales=SCALES,
            experiments=dimensions,
            measure=losses.shares,
            verdict=losses.judge_shares,
            judged_by="losses",
            headline=(label(30), losses.SHARE),
            published=losses.published_shares,
            source="quotients of two columns of the report's table",
            tolerance="the KL has to be the larger term at some number of latents",
        ),
        Artifact(
            name="A9",
            place="figure 18",
            claim="at d = 30 many samples cannot be recognized",
            scales=SCALES,
            experiments=experiments.few_and_many,
            measure=pictures.legible,
            verdict=pictures.judge_illegible,
            judged_by="three of our classifiers",
            headline=(label(30), pictures.read(0.5, pictures.READ)),
            figures=pictures.draw_samples,
            tolerance=f"fewer than at d = 5 have to be legible at both thresholds, by over {pictures.ERRORS} errors",
        ),
        Artifact(
            name="A10",
            place="section 1.2",
            claim="an auto-encoder is trained by SGD at a learning rate of 0.00005",
            scales=SCALES,
            experiments=experiments.descents,
            measure=codes.by_descent,
            verdict=codes.judge_descent,
            judged_by="squared errors",
            headline=(experiments.HALF, codes.LOSS),
            figures=codes.draw_descent,
            tolerance="with the loss as printed, half the sum of squared errors, less has to be left than two "
            "principal components leave",
        ),
        Artifact(
            name="A11",
            place="the section on auto-encoders",
            claim="a complex enough encoder maps all training samples onto the real axis without loss",
            scales={**SCALES, "smoke": dataclasses.replace(SMOKE, epochs=0.02)},
            experiments=experiments.lines,
            measure=codes.memorized,
            verdict=codes.judge_memorized,
            judged_by="squared errors",
            headline=(next(iter(experiments.LINES)), codes.LEFT),
            figures=codes.draw_memorized,
            tolerance=f"for one of the networks, at most {100 * codes.LOSSLESS:g}% of the variance may be left, and "
            "each reconstruction has to be nearest to its own image; as a correction, because the networks are given "
            "few images, not all",
        ),
        Artifact(
            name="A12",
            place="the text on d = 2 and d = 3",
            claim="10 epochs take 16.99 minutes at d = 2 and 16.31 at d = 3",
            scales=SCALES,
            experiments=experiments.planes,
            measure=losses.minutes,
            verdict=losses.judge_minutes,
            judged_by="minutes",
            headline=(label(2), losses.MINUTES),
            published=losses.published_minutes,
            source="the report's text",
            tolerance="none: the machine is not stated",
        ),
        Artifact(
            name="A13",
            place="the proposal of an inception score",
            claim="the inception score is the average of the exponentials of the KL",
            scales=SCALES,
            experiments=dimensions,
            measure=scores.both_scores,
            verdict=scores.judge_both_scores,
            judged_by="our classifier",
            headline=(label(5), scores.MISPRINTED),
            tolerance="it has to put the six numbers of latents in the order of the exponential of the mean",
        ),
        Artifact(
            name="T1",
            place="figure 3",
            claim="an auto-encoder leaves gaps between its codes, a VAE does not",
            scales=SCALES,
            experiments=experiments.contrast,
            measure=codes.gaps,
            verdict=codes.judge_gaps,
            judged_by="our classifier",
            headline=(experiments.VARIATIONAL, codes.MIDWAY),
            figures=codes.draw_gaps,
            tolerance="none: the VAE has to be better by both measures with every seed",
        ),
    ),
    errors={
        "SGD at 0.00005 in one section, 0.0005 in another, Adam in the code it descends from": "the VAEs here are "
        "trained by Adam at 0.0005, and A1 shows how close they come to the table; A10 trains the auto-encoder by SGD.",
        "the mean squared error is printed with a factor 1/2m": lambda found: (
            "the table cannot have one: twice its 32.27 of d = 2 would be more than the "
            f"{found.quote('aragam2024', 'T1', codes.MEAN_IMAGE, codes.LOSS)} of the mean image. Its numbers are sums "
            "over pixels, without the half."
        ),
        "176.2268, with a KL of 0.000483, is called the final loss of d = 3": "A2 compares it with untrained networks.",
        "the row of d = 2 is said to be from 10 epochs and 16.99 minutes": "the code's author prints the same 16.99 "
        "minutes after 47 epochs; A1 also trains two latents for longer, and A12 has our times.",
        "the inception score is to 'average the exponentials'": "it is the exponential of the mean KL, as in A6; A13 "
        "compares both.",
        "'in higher dimensions the KL term dominates'": "the report's own table has a reconstruction of 15.39 and a "
        "KL of 12.59 at d = 30; A8 judges it.",
        "it is not said whether numbers are for a batch, an epoch or test images": "A1 measures three kinds and judges "
        "by the one that fits best overall.",
        "interpolation is named as a criterion but not shown": "A6 shows it.",
    },
)
