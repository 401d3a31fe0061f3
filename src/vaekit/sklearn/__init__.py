"""vaekit as an estimator of scikit-learn."""

from vaekit.sklearn.estimator import VariationalAutoencoder

__all__ = ["VariationalAutoencoder"]
