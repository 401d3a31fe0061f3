"""Scores: how probable each row is to a model, in nats, and which of its elements make it so."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.distributions import analytic_kl, element_log_prob
from vaekit.estimates import exact
from vaekit.evaluation.rows import Weighted
from vaekit.model import VAE

By = Literal["evidence", "elbo", "reconstruction"]
DRAWS = 64


def scores(
    vae: VAE, x: Float[Tensor, "rows *event"], noise: Float[Tensor, "draws 1 latent"], by: By, parts: bool = False
) -> dict[str, Tensor]:
    r"""Score rows by K draws z_k ~ q(z | x) that share their noise; higher is more probable.

    evidence = log (1/K) Σ_k w_k,  reconstruction = (1/K) Σ_k log p(x | z_k),  elbo = reconstruction − KL(q ‖ p).

    Parts say what each element x_i contributes: Σ_k v_k log p(x_i | z_k), where v_k = 1 / K, but for the evidence
    v_k = w_k / Σ_j w_j. A score is the sum of its parts and of ``rest``: 0 of a reconstruction, −KL(q(z | x) ‖ p(z)) of
    an ELBO, and −KL(p(z | x) ‖ p(z)) of the evidence, which is E_{p(z | x)} log p(x | z) − KL(p(z | x) ‖ p(z)).

    Args:
        vae: the model, in evaluation mode.
        x: (rows, *event).
        noise: ε, (draws, 1, d), as of ``shared_noise``.
        by: what is measured.
        parts: whether to tell the elements' contributions.

    Returns:
        score and standard_error, over draws, (rows,) each; with ``parts`` also parts (rows, *event) and rest (rows,).
    """
    return scores_of(Weighted(vae, x, noise), x, by, parts)


def scores_of(drawn: Weighted, x: Float[Tensor, "rows *event"], by: By, parts: bool = False) -> dict[str, Tensor]:
    """Return the ``scores`` of rows whose draws are known, so that several measures share them."""
    equal = torch.full_like(drawn.log_weight, 1 / drawn.draws)
    if by == "evidence":
        weights, score, error = drawn.weights, drawn.log_evidence, _relative_error(drawn.weights)
    else:
        weights, score, error = equal, drawn.log_likelihood.mean(0), _error(drawn.log_likelihood)
    if by == "elbo":
        closed = analytic_kl(drawn.posterior, drawn.prior)
        if closed is None:
            score, error = drawn.log_weight.mean(0), _error(drawn.log_weight)
        else:
            score = score - exact(closed)
    found = {"score": score, "standard_error": error}
    if parts:
        each = drawn.expected(lambda p: element_log_prob(p, x), weights)
        found |= {"parts": each.to(x.dtype), "rest": score - each.flatten(1).sum(1)}
    return found


def _error(values: Tensor) -> Tensor:
    """Return the standard error of the mean over draws, NaN for a single one."""
    return values.std(0) / len(values) ** 0.5 if len(values) > 1 else torch.full_like(values[0], torch.nan)


def _relative_error(weights: Tensor) -> Tensor:
    """Return the standard error of the logarithm of a mean weight, to first order, given normalized weights."""
    return _error(weights * len(weights))


def share_lower(scores: Sequence[float] | Tensor, reference: Tensor) -> Tensor:
    """Return what share of the reference scores is lower than each score, (rows,); NaN if there are none."""
    found = torch.as_tensor(scores)
    if not len(reference):
        return torch.full_like(found, torch.nan)
    return torch.searchsorted(reference.sort().values.to(found), found).double() / len(reference)
