"""Options as other tools call them: the most common are understood, aloud; for others, vaekit's own is named."""

from collections.abc import Collection, Sequence

UNDERSTOOD = {"--lr": "--learning-rate", "--batch": "--batch-size"}
"""options of train"""

MEANT = {
    "--learning-rate": ("--rate", "--step-size", "--alpha"),
    "--batch-size": ("--bs", "--batchsize", "--minibatch"),
    "--latent-dim": ("--latents", "--latent-size", "--latent", "--z-dim", "--dim", "--n-latent", "--code-size"),
    "--hidden": ("--layers", "--units", "--width", "--hidden-size", "--hidden-dim"),
    "--network": ("--arch", "--architecture", "--model", "--encoder"),
    "--likelihood": ("--loss", "--decoder", "--distribution"),
    "--objective": ("--criterion", "--method"),
    "--beta": ("--kl-weight", "--kl", "--kld-weight"),
    "--epochs": ("--n-epochs", "--num-epochs", "--iterations", "--max-epochs"),
    "--optimizer": ("--optim", "--opt"),
    "--seed": ("--random-state", "--random-seed"),
    "--precision": ("--dtype", "--amp", "--half"),
    "--image-size": ("--imgsz", "--resize", "--img-size"),
    "--overwrite": ("--force", "--exist-ok"),
    "--resume": ("--continue", "--checkpoint", "--restart"),
    "--device cuda": ("--gpu", "--cuda", "--gpus"),
    "--out": ("--output", "--save", "--file"),
    "--run": ("--out", "--output", "--output-dir", "--outdir", "--name", "--project", "--save", "--logdir"),
    "--samples": ("--draws", "--importance-samples"),
    "--draws": ("--samples", "--importance-samples"),
    "--quantile": ("--percentile", "--threshold"),
    "-n": ("--number", "--num", "--count", "--num-samples", "--samples"),
    "--data-root": ("--root", "--data-dir"),
    "--quiet": ("--silent",),
}
"""options of vaekit with what other tools call them"""


def understand(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replace the options of other tools in a command, and say which were replaced.

    Example:
        >>> understand(["train", "digits", "--lr=0.1"])
        (['train', 'digits', '--learning-rate=0.1'], ['--lr as --learning-rate'])
    """
    replaced, said = list(words), []
    if words[:1] == ["train"]:
        for place, word in enumerate(words):
            option, equals, value = word.partition("=")
            if option in UNDERSTOOD:
                replaced[place] = UNDERSTOOD[option] + equals + value
                said.append(f"{option} as {UNDERSTOOD[option]}")
    return replaced, said


def meant(option: str, known: Collection[str]) -> str | None:
    """Name the option, among those known to a command, that means what another tool calls ``option``.

    Example:
        >>> meant("--force", {"--run", "--overwrite"})
        '--overwrite'
    """
    return next((own for own, others in MEANT.items() if option in others and own.split()[0] in known), None)
