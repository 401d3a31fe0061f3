"""What differs between the versions of scikit-learn: how input is checked, and callbacks, which came with 1.9."""

from collections.abc import Callable
from math import ceil
from typing import Any, TypeVar

from sklearn.base import BaseEstimator

F = TypeVar("F", bound=Callable[..., Any])

try:
    from sklearn.utils.validation import validate_data

    FINITE, AS_IT_IS = "ensure_all_finite", {"skip_check_array": True}
except ImportError:  # before 1.6

    def validate_data(estimator: BaseEstimator, X: Any, **checks: Any) -> Any:  # noqa: N803
        return estimator._validate_data(X, **checks)

    FINITE, AS_IT_IS = "force_all_finite", {"cast_to_ndarray": False}

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks."""

    def with_callbacks(method: F) -> F:
        return method


class Watchers:
    """The callbacks of an estimator during a fit: each epoch is a task, and they may stop the fit after one.

    Args:
        estimator: that is fitted.
        X: what it is fitted to.
        fitted: gives the fitted attributes as they would be if the fit ended now.
    """

    def __init__(self, estimator: Any, X: Any, fitted: Callable[[], dict[str, Any]]) -> None:  # noqa: N803
        self.any = bool(getattr(estimator, "_skl_callbacks", ()))
        self.facts = {"estimator": estimator, "X": X}
        self.fitted = fitted
        self.root: Any = None
        self.epoch: Any = None
        self.done = 0

    def begin(self, epochs: float) -> None:
        """Say that the fit begins."""
        estimator = self.facts["estimator"]
        if hasattr(estimator, "_init_callback_context"):
            self.root = estimator._init_callback_context(max_subtasks=ceil(epochs))
            self.root.call_on_fit_task_begin(**self.facts)

    def stop(self, epoch: float) -> bool:
        """Say which epoch the fit is in, and return whether it is to stop."""
        if not self.any:
            return False
        while self.done < epoch + 1e-9:
            if self.epoch and self.epoch.call_on_fit_task_end(**self.facts, reconstruction_attributes=self.fitted):
                return True
            self.epoch = None if self.done + 1 > self.root.max_subtasks else self.root.subcontext(task_name="epoch")
            if self.epoch:
                self.epoch.call_on_fit_task_begin(**self.facts)
            self.done += 1
        return False

    def end(self) -> None:
        """Say that the fit has ended."""
        if self.root:
            self.root.call_on_fit_task_end(**self.facts, reconstruction_attributes=self.fitted)
