"""What the numbers of an evaluation are called and what they mean: the one list that screen, report and guide read."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Label(NamedTuple):
    """The name of a number, and what it means."""

    name: str
    meaning: str


NATS: Mapping[str, Label] = {
    "log_evidence": Label(
        "log-evidence, importance bound", "log p(x), estimated from below with importance weights; higher is better"
    ),
    "least_likely": Label(
        "annealed − importance, least likely",
        "how far the importance bound falls short on the ten examples that it finds least likely, at least",
    ),
    "ais": Label("log-evidence, annealed", "log p(x), estimated from below by annealed importance sampling"),
    "ais_minus_importance": Label(
        "annealed − importance", "how far the importance bound falls short, on the same examples"
    ),
    "simulated_lower": Label("simulated, lower bound", "annealing forward, on examples that the model drew"),
    "simulated_upper": Label("simulated, upper bound", "annealing backward, on the same examples"),
    "simulated_gap": Label("simulated, upper − lower", "how far annealing with these settings can be off"),
    "harmonic": Label("log-evidence, AEVB's estimator", "from posterior samples; errs upward, so never quote it alone"),
    "kth_marginal_likelihood": Label(
        "minus cross-entropy", "what one report calls marginal likelihood: without the KL it is not a bound"
    ),
    "elbo": Label("ELBO", "lower bound on log p(x); higher is better"),
    "reconstruction": Label("reconstruction", "−E log p(x | z) under the posterior; lower is better"),
    "kl": Label("KL", "from posterior to prior: what the code says about x"),
    "amortization_gap": Label(
        "amortization gap", "ELBO of a Gaussian fitted to each example minus that of the encoder's"
    ),
    "mutual_information": Label(
        "mutual information", "what a code says about which of N examples it belongs to; at most log N"
    ),
    "aggregate_kl": Label("KL of all codes to the prior", "what makes samples worse than reconstructions"),
}
"""in nats per example"""
BITS: Mapping[str, Label] = {
    "bits_per_dim": Label(
        "bits per dimension", "length of a lossless code, per pixel and channel: −log-evidence / (D log 2)"
    ),
}
"""in bits per pixel and channel"""
SHARES: Mapping[str, Label] = {
    "nearest_neighbors": Label("5 nearest neighbors", "share of test examples that their nearest codes classify right"),
    "linear_probe": Label("linear probe", "share of test examples that logistic regression on the codes gets right"),
}
"""shares of right answers"""
SAMPLED: Mapping[str, Label] = {
    "told_apart": Label(
        "told apart", "area under the curve of a classifier of samples and test rows; 0.5 if it cannot tell them"
    ),
    "near_copies": Label(
        "near copies", "share of samples as near to a training row as the nearest 5 % of the held-out rows are"
    ),
}
"""what samples of a table are worth"""
FILLED: Mapping[str, Label] = {
    "imputation": Label(
        "error of hidden cells",
        "squared error of numbers over that of their mean, wrong categories over those of their mode, averaged over "
        "columns; 1 if the model knows no more than each column alone",
    ),
}
"""what the cells of a table are worth that are filled in"""
COUNTS: Mapping[str, Label] = {
    "effective_samples": Label("effective draws", "how many of the draws carry the log-evidence"),
}
"""numbers of draws"""
LABELS: Mapping[str, Label] = {**NATS, **BITS, **SHARES, **SAMPLED, **FILLED, **COUNTS}


TERMS: Mapping[str, str] = {
    "loss": "loss",
    "adversary": "loss of the second player",
    "bound": "bound",
    "elbo": "ELBO",
    "log_joint": "log p(x, z)",
    "reconstruction": "reconstruction",
    "kl": "KL",
    "mutual_information": "mutual information",
    "total_correlation": "total correlation",
    "dimension_kl": "KL by dimension",
    "critic_kl": "critic's KL of all codes to the prior",
    "mmd": "MMD² of all codes and the prior",
    "off_diagonal": "squared covariances",
    "diagonal": "squared excess of variances",
}
"""what a training reports, in the order in which it is shown; other terms of objectives keep their own names"""
GROWING = ("bound", "elbo", "log_joint")
"""terms that are better if they are higher; the others are better if they are lower, or neither"""


def term(name: str) -> str:
    """Return what a term that a training reports is called.

    Example:
        >>> term("elbo"), term("total_correlation")
        ('ELBO', 'total correlation')
    """
    return TERMS.get(name, name.replace("_", " "))


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of terms, each once: those of ``TERMS`` first, then the others as they come.

    Example:
        >>> in_order(["sleep", "kl", "loss", "sleep"])
        ['loss', 'kl', 'sleep']
    """
    found = dict.fromkeys(names)
    return [*(name for name in TERMS if name in found), *(name for name in found if name not in TERMS)]


def label(name: str) -> str:
    """Return what a number is called; one that is not in the list keeps its own name."""
    return LABELS[name].name if name in LABELS else name
