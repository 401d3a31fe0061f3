"""The benchmark of Aragam (2024): a convolutional VAE on MNIST at six numbers of latents."""

from vaekit.studies import aragam_losses as losses
from vaekit.studies import aragam_pictures as pictures
from vaekit.studies.aragam_losses import DEVIATIONS, NETWORKS, SCALES, dimensions, label
from vaekit.studies.study import Artefact, Study

STUDY = Study(
    name="aragam2024",
    title="Benchmark of a variational auto-encoder on MNIST (Aragam, 2024)",
    citation="Network, optimizer and loss follow STAT 453, lecture 17 (Raschka, 2021): sum of squared errors plus KL, "
    "Adam at 0.0005, batches of 256, gray levels, 60,000 training images. Figures 1, 2, 4 and 5 illustrate theory.",
    artefacts=(
        Artefact(
            name="A1",
            place="table",
            claim="KL, reconstruction and total by number of latents after 10 epochs",
            scales=SCALES,
            experiments=losses.with_longer,
            measure=losses.table,
            verdict=losses.judge_table,
            judged_by="losses",
            headline=(label(5), "total"),
            published=losses.published_table,
            source="the report's table, whose columns add up to within 1e-5; it does not say for which images",
            tolerance=f"{DEVIATIONS} standard deviations of the loss of a batch, because it may be that of one batch",
        ),
        Artefact(
            name="A2",
            place="figures 6–8, and the loss by number of latents",
            claim="total and reconstruction fall and the KL rises; the first loss given for d = 3 is 176.2",
            scales=SCALES,
            experiments=dimensions,
            measure=losses.start_and_end,
            verdict=losses.judge_start,
            judged_by="losses",
            headline=(label(3), "total, untrained"),
            figures=losses.draw_curves,
            published=losses.published_start,
            source="the report's text on d = 3, where it is called final",
            tolerance=f"between the extremes of {NETWORKS} untrained networks, because it depends on their weights",
        ),
        Artefact(
            name="A3",
            place="figures 9 and 11",
            claim="7 and 9 overlap in the latent space of two and three dimensions",
            scales=SCALES,
            experiments=pictures.planes,
            measure=pictures.mistaken,
            verdict=pictures.judge_mistaken,
            judged_by="nearest codes",
            headline=(label(2), f"{pictures.TAKEN}, {pictures.CODES}"),
            figures=pictures.draw_planes,
            tolerance="three times the mean of the other pairs; the report does not give a number",
        ),
        Artefact(
            name="A4",
            place="figures 10 and 12, and the reconstructions of 15 digits",
            claim="all 15 digits shown are reconstructed at d = 5",
            scales=SCALES,
            experiments=dimensions,
            measure=pictures.kept,
            verdict=pictures.judge_kept,
            judged_by="our classifier",
            headline=(label(5), pictures.KEPT),
            figures=pictures.draw_reconstructions,
            published=pictures.published_kept,
            source="the report's text",
            tolerance="at our share, 15 of 15 must have a chance of at least 5%",
        ),
        Artefact(
            name="A5",
            place="figures 13–18",
            claim="60 of 64 prior samples are legible at d = 5",
            scales=SCALES,
            experiments=dimensions,
            measure=pictures.legible,
            verdict=pictures.judge_legible,
            judged_by="our classifier",
            headline=(label(5), pictures.READ),
            figures=pictures.draw_samples,
            published=pictures.published_legible,
            source="the report's text, as its author read them",
            tolerance="two standard deviations of 64 draws",
        ),
        Artefact(
            name="A6",
            place="the proposals at the end",
            claim="d = 5 is best; scores, longer training, other networks and interpolations remain to be done",
            scales=SCALES,
            experiments=pictures.proposed,
            measure=pictures.scores,
            verdict=pictures.judge_scores,
            judged_by="our classifier",
            headline=(label(5), pictures.SCORE),
            figures=pictures.draw_proposed,
            tolerance="another of the six may be better by either score, by two of the errors below; for an inception "
            "score the error is its deviation over ten splits",
        ),
        Artefact(
            name="T1",
            place="figure 3",
            claim="an auto-encoder leaves gaps between its codes, a VAE does not",
            scales=SCALES,
            experiments=pictures.contrast,
            measure=pictures.gaps,
            verdict=pictures.judge_gaps,
            judged_by="our classifier",
            headline=(pictures.VARIATIONAL, pictures.MIDWAY),
            figures=pictures.draw_contrast,
            tolerance="none: the VAE has to be better by both measures",
        ),
    ),
    errors={
        "SGD at 0.00005 in one section, 0.0005 in another, Adam in the code it descends from": "all trainings here "
        "use Adam at 0.0005; A1 shows how close they come to the table.",
        "the mean squared error is printed with a factor 1/2m": "it cannot have one: twice the 32.27 of d = 2 would be "
        "more than the 52.85 of the mean image. The numbers are sums over pixels, without the half.",
        "176.2268, with a KL of 0.000483, is called the final loss of d = 3": "it is that of an untrained network: A2.",
        "the row of d = 2 is said to be from 10 epochs and 16.99 minutes": "the code's author prints the same 16.99 "
        "minutes after 47 epochs; A1 also trains two latents for longer.",
        "the inception score is to 'average the exponentials'": "it is the exponential of the mean KL, as in A6.",
        "'in higher dimensions the KL term dominates'": "the report's own table has a reconstruction of 15.39 and a "
        "KL of 12.59 at d = 30.",
        "it is not said whether numbers are for a batch, an epoch or test images": "A1 measures three kinds and names "
        "the nearest.",
        "interpolation is named as a criterion but not shown": "A6 shows it.",
    },
)
