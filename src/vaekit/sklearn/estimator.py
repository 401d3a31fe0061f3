"""A variational auto-encoder as an estimator: it embeds, scores, fills in and samples rows, and finds outliers."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vaekit import devices
from vaekit.arguments import to_whole
from vaekit.compatibility import lacking
from vaekit.data import Data
from vaekit.data.columns import generic
from vaekit.data.values import as_float32
from vaekit.errors import InputError, shown
from vaekit.evaluation.rows import Weighted, by_rows, shared_noise
from vaekit.experiment import Experiment
from vaekit.folders import STATE
from vaekit.measures import DENSITY, FILLING
from vaekit.model import VAE
from vaekit.sklearn.contract import CallbackSupportMixin, Watchers, with_callbacks
from vaekit.sklearn.fitting import Fitting, begun, continued
from vaekit.sklearn.kept import Kept
from vaekit.sklearn.reading import Rows, by_name, filled, library_of, like, read, seen_with_holes
from vaekit.sklearn.showing import Follow, fitted_html, followed
from vaekit.verbs.imputing import Filling

AUTO = "auto"
THRESHOLD_ROWS = 5000
"""training rows at most whose scores give the threshold of outliers"""


class VariationalAutoencoder(CallbackSupportMixin, TransformerMixin, OutlierMixin, BaseEstimator):
    """Variational auto-encoder: a density p(x) of rows with latents z, fitted by the experiments that vaekit trains.

    Columns are standardized inside, and log p(x) is that of the columns as they are given. What a parameter leaves as
    ``"auto"`` is chosen to suit the data, as ``vaekit.choose`` does. Results of a row do not depend on the rows beside
    it, bit for bit, and fitting writes no file and leaves torch's and NumPy's generators as they were.

    Args:
        latent_dim: number of latents.
        hidden: widths of the hidden layers, such as (200, 100).
        network: mlp or conv, or a spec such as ``vaekit.MLP(activation="relu")``.
        likelihood: columns, with a density of its kind and a scale for each column; gaussian; bernoulli,
            continuous_bernoulli, discretized_logistic or categorical for bits, values in [0, 1] and gray levels, which
            are then not standardized; or a spec.
        prior: standard_normal, mixture, vamp or flow, or a spec.
        posterior: gaussian, full_gaussian, flow or delta, or a spec.
        objective: what is minimized, such as elbo or importance, or a spec.
        beta: weight of the KL, of an objective that has one.
        epochs: passes over the training rows; auto takes some thousands of steps.
        early_stopping: evaluations without a better validation bound after which the best weights are kept; None never
            stops, auto stops small data whose epochs are auto.
        batch_size: rows per step.
        optimizer: such as adam or adamw, or a spec.
        learning_rate: step size.
        split: shares of the rows that are trained on, watched for early stopping, and kept apart for a saved run's
            report, such as "0.8/0.1/0.1" (the default) or "0.9/0.1"; fewer than 10 rows are not split.
        columns: kinds of columns by name, {"age": "count"}: real, positive, count, binary, category or ordinal. Columns
            that are not named are categories if they are words, binary if they are truth values, and else real.
        image_size: height and width, or one number for both, of the images whose pixels are the rows.
        binarize: how gray levels become bits: none, dynamic, static or threshold.
        set: further fields of the experiment by dotted path, {"model.likelihood.scale": "pixel"}.
        samples: draws of z per row behind log p(x).
        contamination: share of the training rows that lie beyond the threshold of outliers, in (0, 0.5].
        device: auto, cpu, cuda or mps.
        verbose: whether the training is shown while it goes on, with what was chosen.
        random_state: seed, NumPy generator, or None, of weights, order, noise and split.

    Attributes:
        run_: the run: its experiment, the space of its data and its weights; ``run_.to_folder(path)`` writes the folder
            of a run, which all of vaekit takes.
        history_: the metrics by columns, such as "epoch" and "train.elbo"; ``pandas.DataFrame(vae.history_)``.
        offset_: the threshold of outliers, in nats; NaN if the model has no density.
        n_features_in_, feature_names_in_: the columns.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> vae = VariationalAutoencoder(latent_dim=2, epochs=3, random_state=0).fit(X)
        >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.sample(4).shape
        ((50, 2), (50,), (4, 3))
    """

    def __init__(
        self,
        latent_dim: int = 10,
        *,
        hidden: Any = AUTO,
        network: Any = AUTO,
        likelihood: Any = AUTO,
        prior: Any = "standard_normal",
        posterior: Any = "gaussian",
        objective: Any = "elbo",
        beta: Any = AUTO,
        epochs: Any = AUTO,
        early_stopping: Any = AUTO,
        batch_size: int = 100,
        optimizer: Any = "adam",
        learning_rate: float = 1e-3,
        split: str | None = None,
        columns: Mapping[str, str] | None = None,
        image_size: Any = None,
        binarize: str = "none",
        set: Mapping[str, Any] | None = None,
        samples: int = 64,
        contamination: float = 0.1,
        device: str = AUTO,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.network = network
        self.likelihood = likelihood
        self.prior = prior
        self.posterior = posterior
        self.objective = objective
        self.beta = beta
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.split = split
        self.columns = columns
        self.image_size = image_size
        self.binarize = binarize
        self.set = set
        self.samples = samples
        self.contamination = contamination
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "VariationalAutoencoder":  # noqa: N803
        """Fit the model to rows X, (n, features); y is ignored.

        Raises:
            InputError: if a parameter or a value does not fit; it is a ValueError.
            RunError: if the loss becomes NaN or infinite, or memory runs out; it is a RuntimeError.
        """
        named, rows = self._named(), read(self, X, fitting=True)
        self._library = library_of(X)
        with followed(self.verbose) as follow:
            self._train(*begun(rows, named), X, follow)
        del self.run_.files[STATE]  # the optimizer's moments are for partial_fit, and twice as large as the weights
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "VariationalAutoencoder":  # noqa: N803
        """Pass once over rows X, (n, features); y is ignored.

        The first call standardizes the columns, so its rows should be typical. Later calls go on with weights, moments
        of the optimizer and noise; after ``fit``, with its weights. No row is held out.

        Raises:
            InputError, RunError: as ``fit`` does.
        """
        before: Kept | None = getattr(self, "run_", None)
        named, rows = self._named(), read(self, X, fitting=before is None)
        if before is None:
            self._library = library_of(X)
        experiment, data = continued(before, rows) if before else begun(rows, named, hold_out=False)
        once = experiment.replace_all({"epochs": 1, "training_samples": None, "early_stopping": None})
        with followed(self.verbose) as follow:
            self._train(once, data, X, follow, before)
        return self

    def _named(self) -> dict[str, Any]:
        """Return the parameters that are fields of an experiment and not left open, by name, with a seed."""
        if not (isinstance(self.contamination, Real) and 0 < self.contamination <= 0.5):
            raise InputError(f"contamination is {shown(self.contamination)}: give a share in (0, 0.5]")
        to_whole(self.samples, "samples")
        given = {name: value for name, value in self.get_params(deep=False).items() if not _is_auto(value)}
        given["columns"] = given["columns"] or {}
        for name in ("samples", "contamination", "device", "verbose", "random_state"):
            given.pop(name, None)
        return given | {"seed": int(check_random_state(self.random_state).randint(2**31))}

    def _train(
        self,
        experiment: Experiment,
        data: Data,
        X: Any,  # noqa: N803
        follow: Follow,
        before: Kept | None = None,
    ) -> None:
        """Train, report to the callbacks, and set the fitted attributes."""
        fitting = Fitting(experiment, data, devices.choose(self.device), before)
        watchers = Watchers(self, X, lambda: {"run_": fitting.now()})
        watchers.begin(experiment.epochs)
        reports = fitting.reports(watchers.any)
        for progress in follow(reports):
            if watchers.stop(progress.epoch):
                break
        reports.close()
        self.run_ = fitting.run
        self.run_.rows = fitting.rows
        self.history_ = self.run_.history()
        self.offset_ = self._threshold(data)
        watchers.end()

    def _threshold(self, data: Data) -> float:
        """Return the score below which the share ``contamination`` of the rows lies."""
        parts = {id(part): part for part in (data.train, data.validation, data.test) if part is not None}.values()
        x = torch.cat([part.some(min(len(part), THRESHOLD_ROWS), seed=0) for part in parts])[:THRESHOLD_ROWS]
        try:
            return float(np.percentile(self._scores(x), 100 * self.contamination))
        except InputError:
            return float("nan")

    def _read(self, X: Any) -> Rows:  # noqa: N803
        check_is_fitted(self)
        return read(self, X, fitting=False)

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the codes of rows X, (n, latent_dim): the means of q(z | x)."""
        rows = self._read(X)
        codes = self._by_rows(self.run_.space.encode_input(rows), lambda vae, x: vae.encode(x))
        return codes.numpy() if getattr(rows, "dtype", None) == np.float32 else codes.double().numpy()

    def _by_rows(self, x: Tensor, compute: Callable[[VAE, Tensor], Tensor]) -> Tensor:
        """Compute something of each row by the fitted model, whatever the other rows are."""
        device = devices.choose(self.device)
        vae = self.run_.vae(device)
        return by_rows([x], device, lambda block: {"found": compute(vae, block)})["found"]

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """Return the rows, (n, features), that codes X, (n, latent_dim), stand for: the means of p(x | z)."""
        check_is_fitted(self)
        z = torch.from_numpy(as_float32(np.asarray(X), "X"))
        return self._generated(self._by_rows(z, lambda vae, z: vae.decode(z)))

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Estimate log p(x) of rows X, (n,) nats: by importance sampling, with the same noise for every row.

        It is the density of the columns as they are given, and in expectation a lower bound, which more ``samples``
        raise.

        Raises:
            InputError: if the model has no density.
        """
        rows = self._read(X)
        return self._scores(self.run_.space.encode_input(rows))

    def _scores(self, x: Tensor) -> np.ndarray:
        if reason := lacking(DENSITY, self.run_.experiment):
            raise InputError(f"log p(x) {reason}: choose another posterior")
        noise = shared_noise(to_whole(self.samples, "samples"), self.run_.experiment.model.latent_dim)
        found = self._by_rows(x, lambda vae, x: Weighted(vae, x, noise).log_evidence)
        return (found + self.run_.space.log_jacobian(x)).numpy()

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Return the mean of ``score_samples`` over rows X; y is ignored."""
        return float(self.score_samples(X).mean())

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return ``score_samples`` less the threshold, (n,) nats: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return -1 for outliers among rows X and 1 for the others, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def impute(self, X: Any, *, draws: int | None = None, random_state: Any = None) -> Any:  # noqa: N803
        """Fill in the missing cells of rows X, (n, features), by what is expected given the others; those stay.

        These are means, and modes of categories, of p(x_missing | x_observed), by importance weights of draws of z.
        They depend on no other row. Rows with missing cells need not have been in training, but it helps if they were.

        Args:
            X: rows with NaN, None or blanks.
            draws: return a list of so many copies of the rows, with draws in the cells, for multiple imputation.
            random_state: seed, NumPy generator, or None for other draws each time.

        Raises:
            InputError: if the model has no density, or not one of each column.
        """
        rows = self._read(X)
        if reason := lacking(FILLING, self.run_.experiment):
            raise InputError(f"impute {reason}: choose other parts")
        space, device = self.run_.space, devices.choose(self.device)
        x, filling = seen_with_holes(rows, space), Filling(self.run_.vae(device), space, None, device)
        if draws is None:
            values = filling.guesses(x, iter)[0][None]
        else:
            seed = int(check_random_state(random_state).randint(2**31))
            values = filling.draws(x, to_whole(draws, "draws"), seed)
        found = [space.worded(space.rounded(each)) if space.columns else each for each in values.numpy()]
        copies = [like(library_of(X), filled(rows, by_name(each, self._names))) for each in found]
        return copies[0] if draws is None else copies

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw rows from p(x), (n_samples, features).

        Args:
            n_samples: how many.
            random_state: seed, NumPy generator, or None for other rows each time.
        """
        check_is_fitted(self)
        n, seed = to_whole(n_samples, "n_samples"), int(check_random_state(random_state).randint(2**31))
        device = devices.choose(self.device)
        vae = self.run_.vae(device)
        with devices.seeded(seed, device):
            return self._generated(vae.sample(n, noise=True))

    def _generated(self, x: Tensor) -> Any:
        """Return rows as the model emits them in the units and words of the columns, as what was fitted."""
        return like(self._library, by_name(self.run_.space.generated(x), self._names))

    @property
    def _names(self) -> list[str]:
        return self.run_.space.header or [generic(i) for i in range(self.n_features_in_)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes: z0, z1, ..."""
        check_is_fitted(self)
        return np.array([f"z{k}" for k in range(self.run_.experiment.model.latent_dim)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # before 1.6
        return {"allow_nan": True, "preserves_dtype": [np.float64, np.float32]}

    def _repr_html_inner(self) -> str:
        return super()._repr_html_inner() + fitted_html(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        found: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        return {kind: text + fitted_html(self) if kind == "text/html" else text for kind, text in found.items()}


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO
