"""Metrics of RUL predictions, health predictions and frozen features."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rulbook.data import HEALTH_STATES
from rulbook.typing import Floats


def rmse(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Return the root mean squared error, in the unit of the inputs (cycles for RUL).

    Args:
        predicted: predictions, shape (samples,).
        true: true values, same shape.

    Raises:
        ValueError: the shapes differ or there is no sample.
    """
    return float(np.sqrt(np.mean(np.square(_errors(predicted, true)))))


def mean_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Return the mean of predicted minus true, in cycles: positive where RUL is overestimated.

    Args:
        predicted: predicted RUL in cycles, shape (samples,).
        true: true RUL in cycles, same shape.

    Raises:
        ValueError: the shapes differ or there is no sample.
    """
    return float(np.mean(_errors(predicted, true)))


def nasa_score(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Return the asymmetric score of the PHM08 challenge (Saxena et al., 2008), lower is better.

    With ``d = predicted - true`` in cycles, a sample costs ``exp(-d / 13) - 1`` when it is early
    (``d < 0``) and ``exp(d / 10) - 1`` when it is late. The score is the **sum** over samples, has
    no unit, and so compares only between methods on the same test engines.

    Where sources disagree: equation 11 of the paper has 10 for early and 13 for late, against its
    own text, which wants late predictions to cost more; the field uses them as here.

    Args:
        predicted: predicted RUL in cycles, shape (samples,).
        true: true RUL in cycles, same shape.

    Returns:
        The score, at least 0; infinity where a prediction is too late for the exponential.

    Raises:
        ValueError: the shapes differ or there is no sample.
    """
    with np.errstate(over="ignore"):
        return float(np.sum(nasa_penalties(_errors(predicted, true))))


def nasa_penalties(errors: npt.ArrayLike) -> Floats:
    """Return what each error adds to ``nasa_score``.

    Args:
        errors: predicted minus true RUL in cycles, any shape.

    Returns:
        Penalties, at least 0, without a unit, float64, the shape of ``errors``.
    """
    late_by = np.asarray(errors, dtype=np.float64)
    penalties: Floats = np.expm1(np.where(late_by < 0, -late_by / 13, late_by / 10))
    return penalties


def health_accuracy(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Return the share of samples whose health class is right, between 0 and 1.

    Args:
        predicted: predicted classes, integers, shape (samples,).
        true: true classes, same shape.

    Raises:
        ValueError: the shapes differ, there is no sample, or a class is no whole number.
    """
    _check_classes(predicted, true)
    return float(np.mean(_errors(predicted, true) == 0))


def recall_per_class(
    predicted: npt.ArrayLike, true: npt.ArrayLike, n_classes: int = len(HEALTH_STATES)
) -> Floats:
    """Return, for each class, the share of its samples that were found.

    Args:
        predicted: predicted classes, integers, shape (samples,).
        true: true classes, same shape.
        n_classes: number of classes.

    Returns:
        Recalls between 0 and 1, float64, shape (n_classes,); NaN for a class without samples.

    Raises:
        ValueError: the shapes differ, there is no sample, or a class is none of those.
    """
    _check_classes(predicted, true, n_classes=n_classes)
    is_right = _errors(predicted, true) == 0
    of_class = np.asarray(true) == np.arange(n_classes)[:, None]
    samples = of_class.sum(axis=1)
    recalls = np.full(n_classes, np.nan)
    np.divide((of_class & is_right).sum(axis=1), samples, out=recalls, where=samples > 0)
    return recalls


def balanced_accuracy(
    predicted: npt.ArrayLike, true: npt.ArrayLike, n_classes: int = len(HEALTH_STATES)
) -> float:
    """Return the mean recall of the classes that occur; chance is one over their number.

    Args:
        predicted: predicted classes, integers, shape (samples,).
        true: true classes, same shape.
        n_classes: number of classes.

    Raises:
        ValueError: the shapes differ, there is no sample, or a class is none of those.
    """
    return float(np.nanmean(recall_per_class(predicted, true, n_classes)))


def majority_share(true: npt.ArrayLike) -> float:
    """Return the accuracy, between 0 and 1, of always naming the most frequent class.

    Args:
        true: true classes, integers, shape (samples,).

    Raises:
        ValueError: there is no sample, or a class is no whole number.
    """
    _check_classes(true)
    if np.size(true) == 0:
        raise ValueError("there is no sample, and so no class that is the most frequent one")
    _, counts = np.unique(np.asarray(true), return_counts=True)
    return float(counts.max() / counts.sum())


@dataclass(frozen=True)
class Probe:
    """How well a linear classifier reads the health state from frozen features.

    Attributes:
        accuracy: share of test samples that are right, between 0 and 1.
        balanced_accuracy: mean recall of the classes that occur, between 0 and 1.
        recall: recall per class, shape (classes,).
        majority_share: accuracy of always naming the most frequent class of the test samples.
    """

    accuracy: float
    balanced_accuracy: float
    recall: Floats
    majority_share: float


def linear_probe(
    train_features: npt.ArrayLike,
    train_health: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_health: npt.ArrayLike,
) -> Probe:
    """Fit a multinomial logistic regression on frozen features and test it.

    The split is the caller's: keep all windows of an engine on one side. Features are z-scored
    with the training samples' statistics; the L2 penalty is scikit-learn's default.

    Args:
        train_features: features to fit on, shape (samples, features).
        train_health: their health states, integers, shape (samples,), at least two of them.
        test_features: features to test on, shape (other samples, features).
        test_health: their health states, shape (other samples,).

    Raises:
        ValueError: a class is no health state, or the samples to fit on have one alone.
    """
    _check_classes(train_health, test_health, n_classes=len(HEALTH_STATES))
    if np.unique(np.asarray(train_health)).size < 2:
        raise ValueError("samples of at least two health states are needed to fit a probe on")
    from sklearn.linear_model import LogisticRegression  # takes long to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    probe.fit(np.asarray(train_features, dtype=np.float64), np.asarray(train_health))
    predicted = probe.predict(np.asarray(test_features, dtype=np.float64))
    return Probe(
        accuracy=health_accuracy(predicted, test_health),
        balanced_accuracy=balanced_accuracy(predicted, test_health),
        recall=recall_per_class(predicted, test_health),
        majority_share=majority_share(test_health),
    )


def _check_classes(*given: npt.ArrayLike, n_classes: float = np.inf) -> None:
    """Raise ``ValueError`` unless all are whole numbers of 0 or more, below the number of classes.

    Another class would be left out of every recall, and NaN is like no class.
    """
    for classes in given:
        numbers = np.asarray(classes, dtype=np.float64)
        known = (numbers >= 0) & (numbers < n_classes) & (numbers == np.trunc(numbers))
        if not known.all():
            below = f" below {n_classes}" if np.isfinite(n_classes) else ""
            raise ValueError(
                f"classes must be whole numbers of 0 or more{below}, not {numbers[~known][0]:g}"
            )


def _errors(predicted: npt.ArrayLike, true: npt.ArrayLike) -> Floats:
    """Return predicted minus true; shapes must match, or broadcasting would hide a mistake."""
    first, second = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(
            f"predicted and true must be vectors of one length, not of shapes {first.shape} "
            f"and {second.shape}"
        )
    errors: Floats = first - second
    return errors
