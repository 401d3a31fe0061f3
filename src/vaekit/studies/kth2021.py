"""The report of KTH (2021) that repeats *Auto-encoding variational Bayes*, and the figures of that paper."""

from vaekit.studies import kth_evidence as evidence
from vaekit.studies import kth_likelihood as likelihood
from vaekit.studies import kth_pictures as pictures
from vaekit.studies.kth_bounds import AEVB, BOUND, ON_FREY, ON_MNIST, label, scales
from vaekit.studies.study import Artefact, Study

STUDY = Study(
    name="kth2021",
    title="Re-Auto-Encoding Variational Bayes (KTH, 2021)",
    citation="Repeats *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114: one hidden layer of "
    "500 tanh units on MNIST, 200 on Frey Face, batches of 100, Adam at 0.001 where the paper has Adagrad, 10 million "
    "training images where the paper has 100 million. Here bits are drawn anew for every batch, because neither text "
    "says how. Figure 1 is a sketch of the network.",
    artefacts=(
        Artefact(
            name="K1",
            place="figure 2, MNIST; figure 2 of the paper",
            claim="the lower bound of AEVB rises faster and higher than that of wake–sleep, at 3 to 200 latents",
            scales=scales("mnist"),
            experiments=ON_MNIST.experiments,
            measure=ON_MNIST.measure,
            verdict=ON_MNIST.judge,
            headline=(label(20, AEVB, "Adagrad"), BOUND),
            figures=ON_MNIST.draw,
            published=ON_MNIST.published,
            at_any_length=True,
            source="the paper's curves, read off its vector drawing, at the same number of training images",
            tolerance="2 nats below the test curve, because the paper does not state bits, initial weights and step",
        ),
        Artefact(
            name="K2",
            place="figure 2, Frey Face; figure 2 of the paper",
            claim="the same on Frey Face, at 2 to 20 latents",
            scales=scales("frey_face"),
            experiments=ON_FREY.experiments,
            measure=ON_FREY.measure,
            verdict=ON_FREY.judge,
            headline=(label(20, AEVB, "Adagrad"), BOUND),
            figures=ON_FREY.draw,
            published=ON_FREY.published,
            at_any_length=True,
            source="the paper's curves, read off its vector drawing, at the same number of training images",
            tolerance="30 nats below the test curve, because the paper does not say how it splits the film",
        ),
        Artefact(
            name="K3",
            place="figure 3 of the paper, and the report's figure 4",
            claim="AEVB gives a higher marginal likelihood than wake–sleep, with 1,000 training images and with 50,000",
            scales=evidence.SCALES,
            experiments=evidence.experiments,
            measure=evidence.measure,
            verdict=evidence.judge,
            headline=(evidence.label(evidence.MANY, AEVB), evidence.quantity(evidence.HARMONIC, evidence.TEST)),
            figures=evidence.draw,
            published=evidence.published,
            source="the paper's curves, read off its vector drawing, at the same number of training images",
            tolerance=f"{evidence.TOLERANCE:g} nats below the curve; annealing and importance sampling for comparison",
            at_any_length=True,
        ),
        Artefact(
            name="K4",
            place="figure 4",
            claim="with 1,000 training images the 'marginal likelihood' of validation images turns down at about −150",
            scales=likelihood.SCALES,
            experiments=likelihood.experiments,
            measure=likelihood.measure,
            verdict=likelihood.judge,
            headline=(likelihood.FEW, likelihood.BEST),
            figures=likelihood.draw,
            published=likelihood.published,
            source="the report's text",
            tolerance=f"a fall of {likelihood.TURN:g} nat from its highest point",
        ),
        Artefact(
            name="K5",
            place="figure 3",
            claim="reconstructions of both sets get better from 2 to 5, 10 and 20 latents",
            scales=scales("mnist"),
            experiments=pictures.both,
            measure=pictures.errors,
            verdict=pictures.judge_errors,
            headline=("mnist, d = 20", pictures.ERROR),
            figures=pictures.draw_errors,
            tolerance="none: the squared error has to fall at every step",
        ),
        Artefact(
            name="K6",
            place="figures 5 and 6; figures 4 and 5 of the paper",
            claim="two latents order digits by class, and the plane changes smoothly",
            scales=scales("mnist"),
            experiments=pictures.both,
            measure=pictures.organized,
            verdict=pictures.judge_organized,
            headline=(pictures.ON_DIGITS, pictures.NEIGHBORS),
            figures=pictures.draw_planes,
            tolerance="half of the codes, where chance is a tenth; neither text gives a number",
        ),
        Artefact(
            name="K7",
            place="equation of z",
            claim="z = μ + σ² ε draws from the posterior",
            scales=scales("mnist"),
            experiments=pictures.sampling,
            measure=pictures.bounds,
            verdict=pictures.judge_bounds,
            headline=(pictures.SQUARED, BOUND),
            tolerance="two standard errors of the difference",
            at_any_length=True,
        ),
    ),
    errors={
        "z = μ + σ² ε, where the paper has μ + σ ε": "K7.",
        "q is written N(μ, σI)": "read as a standard deviation for each latent.",
        "the 'marginal likelihood' is a cross-entropy": "it leaves out the KL, so it is not a bound: K4 compares it "
        "with the evidence.",
        "it is called importance sampling": "there are no weights.",
        "'KL between the approximation and the true posterior'": "it is the KL to the prior.",
        "'Adam incorporates weight decay'": "it does not, so the paper's prior on the weights is dropped: K4 trains "
        "with it and without.",
        "one σ per image in equation 4": "the paper has one per pixel, as here.",
        "which bits and which split": "neither the report nor the paper says.",
        "Adagrad's step is one of 0.01, 0.02 and 0.1": "the paper chose by the first few steps and does not "
        "say which: here 0.01 on MNIST, 0.02 on Frey Face.",
    },
)
