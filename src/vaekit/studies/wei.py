"""The learning note of Wei: a VAE with dense layers and two latents on MNIST, and what it is said to be good for."""

from vaekit.studies import wei_codes as codes
from vaekit.studies import wei_uses as uses
from vaekit.studies.study import Artifact, Study
from vaekit.studies.wei_codes import LABEL, SCALES

STUDY = Study(
    name="wei",
    title="A learning note on variational auto-encoders (Wei)",
    citation="After a well-known blog post and example code for Keras 1: 512 ReLU units on either side, two latents, "
    "Adam, batches of 50, 10 epochs, cross-entropy summed over 784 pixels plus KL, gray levels. Here there are 60,000 "
    "training images, because the note's loader is not shown. The note does not print numbers.",
    artifacts=(
        Artifact(
            name="W1",
            place="figures of codes, reconstructions and samples",
            claim="two latents tell digits apart without labels, but a 5 may become a 3 or an 8",
            scales=SCALES,
            experiments=codes.plane,
            measure=codes.measure,
            verdict=codes.judge,
            judged_by="our classifier",
            headline=(LABEL, codes.LOSS),
            figures=codes.draw,
            tolerance="3 and 8 have to be the two digits that reconstructed fives are most often taken for",
        ),
        Artifact(
            name="W2",
            place="the remarks on the two terms of the loss",
            claim="training on the KL alone gives codes and samples without a meaning",
            scales=SCALES,
            experiments=codes.alone,
            measure=codes.meanings,
            verdict=codes.judge_meanings,
            judged_by="KL, spread of samples",
            headline=(codes.ALONE, "KL"),
            figures=codes.draw_meanings,
            tolerance=f"a KL of at most {codes.SAID} nats, which is all that codes can say about their images, and "
            "samples that vary by less than a tenth of what they do with both terms",
        ),
        Artifact(
            name="W3",
            place="the remark on the ambiguity of a 5",
            claim="a 5 becomes a 3 or an 8 because its code lies among theirs",
            scales=SCALES,
            experiments=codes.plane,
            measure=codes.surroundings,
            verdict=codes.judge_surroundings,
            judged_by="distances of codes, our classifier",
            headline=(LABEL, codes.beside(3, 3)),
            tolerance="most of the codes nearest to fives that are taken for another digit have to be of that digit, "
            "and less than half of those nearest to fives that stay fives, at 95% over the seeds",
            over_seeds=True,
        ),
        Artifact(
            name="W4",
            place="uses: denoising",
            claim="a VAE removes noise",
            scales=SCALES,
            experiments=uses.networks,
            measure=uses.denoised,
            verdict=uses.judge_denoised,
            judged_by="squared errors",
            headline=(uses.level(max(uses.NOISES)), LABEL),
            figures=uses.draw_denoised,
            tolerance="at the most noise, decoding has to come nearer to the clean image than the noisy image and its "
            "moving average do, at 95% over the seeds; with the note's two latents, or as a correction with twenty",
            over_seeds=True,
        ),
        Artifact(
            name="W5",
            place="uses: filling in what is missing",
            claim="a VAE fills in missing parts of images",
            scales=SCALES,
            experiments=uses.networks,
            measure=uses.fillings,
            verdict=uses.judge_fillings,
            judged_by="squared errors",
            headline=("lower half", f"{LABEL}, {uses.passes(max(uses.PASSES))}"),
            figures=uses.draw_fillings,
            tolerance="both holes have to be filled better than by the mean of training images, at 95% over the seeds; "
            "with the note's two latents, or as a correction with twenty",
            over_seeds=True,
        ),
        Artifact(
            name="W6",
            place="uses: the encoder as the start of a classifier",
            claim="an encoder is a better start for a classifier than new weights",
            scales=SCALES,
            experiments=uses.networks,
            measure=uses.starts,
            verdict=uses.judge_starts,
            judged_by="test images that classifiers get right",
            headline=(uses.few(min(uses.LABELED)), uses.start(LABEL)),
            tolerance="a gain at the fewest labels, at 95% over the seeds (paired: both starts see the same images in "
            "the same order); with the note's two latents, or as a correction with twenty",
            over_seeds=True,
        ),
        Artifact(
            name="W7",
            place="the code of the sampling",
            claim="noise of shape (m, n_z) = (50, 2) draws a code for each image of a batch",
            scales=SCALES,
            experiments=codes.plane,
            measure=codes.shapes,
            verdict=codes.judge_shapes,
            judged_by="shapes",
            headline=(LABEL, codes.codes_of(1)),
            tolerance="as many codes as images, whatever the batch",
        ),
    ),
    errors={
        "`log_sigma` is a log-variance": "the sampling in the code agrees with that reading; only the name is wrong.",
        "the first formula of the KL takes Σ for a log-variance, its proof for a variance": "nothing changes: "
        "the code has the right KL.",
        "a comment calls the loss KL(Q ‖ P(z | X))": "it is KL(Q ‖ P(z)), as here.",
        "`K.binary_crossentropy(y_pred, y_true)`": "this is the order of arguments in Keras 1; with that of Keras 2, "
        "the loss would be a different one.",
        "the noise has the fixed shape (m, n_z)": "W7: no number changes at batches of 50; others fail, or "
        "get 50 codes for one image.",
        "'infer P(z) using P(z | X)', 'optimise ELBO + KL'": "only the words are wrong: the ELBO already contains the "
        "KL.",
        "`X_train` is not defined": "the loader that the note imports elsewhere leaves out 5,000 images; here all "
        "60,000 are used.",
    },
)
