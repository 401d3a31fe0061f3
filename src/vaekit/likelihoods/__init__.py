"""Likelihoods p(x | z): what the decoder's outputs mean."""

from typing import Annotated

from pydantic import Field

from vaekit.likelihoods.bernoulli import Bernoulli, BernoulliLikelihood
from vaekit.likelihoods.categorical import Categorical, CategoricalLikelihood
from vaekit.likelihoods.columns import Columns, ColumnsLikelihood
from vaekit.likelihoods.continuous_bernoulli import ContinuousBernoulli, ContinuousBernoulliLikelihood
from vaekit.likelihoods.discretized_logistic import DiscretizedLogistic, DiscretizedLogisticLikelihood
from vaekit.likelihoods.gaussian import Gaussian, GaussianLikelihood
from vaekit.likelihoods.own import Own

Likelihood = Annotated[
    Bernoulli | ContinuousBernoulli | Gaussian | DiscretizedLogistic | Categorical | Columns | Own,
    Field(discriminator="kind"),
]

__all__ = [
    "Bernoulli",
    "BernoulliLikelihood",
    "Categorical",
    "CategoricalLikelihood",
    "Columns",
    "ColumnsLikelihood",
    "ContinuousBernoulli",
    "ContinuousBernoulliLikelihood",
    "DiscretizedLogistic",
    "DiscretizedLogisticLikelihood",
    "Gaussian",
    "GaussianLikelihood",
    "Likelihood",
    "Own",
]
