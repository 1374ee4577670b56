"""Backbones as scikit-learn transformers; importing this module imports scikit-learn."""

from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from tlbench.api import LoadedBackbone, load_backbone
from tlbench.core.arrays import FloatArray
from tlbench.datasets import ImagesLike
from tlbench.model import Fit


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Transform images into the features of a frozen backbone.

    Nothing is learnt: ``fit`` only finds the backbone, and ``transform`` works without it.

    Parameters
    ----------
    model : str or Path
        Name of a backbone, which is exported on first use, or path of an ``.onnx`` file.
    image_fit, crop_fraction, input_size : str or None, float, int or None
        How a backbone given by its name is exported: `fit` of `tlbench.load_backbone`, which has
        another name here because ``fit`` is a method, and its two neighbours.
    provider : str
        ONNX Runtime's execution provider. If it cannot run, a transform fails.
    provider_options : mapping or None
        Options of the provider.
    batch_size : int
        Images per call of the network.
    threads : int or None
        Threads inside an operator; None for all processors. Set 1 where a search runs several
        processes (``n_jobs``).
    cache_dir : str, Path or None
        Where exported backbones are kept; None for ``TLBENCH_CACHE`` or the user's cache.

    Attributes
    ----------
    backbone_ : LoadedBackbone
        The backbone. Copies and pickles of it open a session of their own.
    n_features_out_ : int
        Number of features of an image.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> digits = load_digits()
    >>> images = digits.images.astype("uint8")[:60]
    >>> classifier = make_pipeline(FeatureExtractor("efficientnet-lite0"), KNeighborsClassifier(1))
    >>> classifier.fit(images[:50], digits.target[:50]).predict(images[:5])
    array([0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        model: str | Path = "efficientnet-lite0",
        *,
        image_fit: Fit | None = None,
        crop_fraction: float = 1.0,
        input_size: int | None = None,
        provider: str = "cpu",
        provider_options: Any = None,  # noqa: ANN401 - scikit-learn keeps it untouched
        batch_size: int = 32,
        threads: int | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.model = model
        self.image_fit = image_fit
        self.crop_fraction = crop_fraction
        self.input_size = input_size
        self.provider = provider
        self.provider_options = provider_options
        self.batch_size = batch_size
        self.threads = threads
        self.cache_dir = cache_dir

    def fit(self, X: ImagesLike, y: Any = None) -> Self:  # noqa: ANN401, ARG002, N803 - scikit-learn's own names
        """Find the backbone; export it first if it is not in the cache.

        Parameters
        ----------
        X : ndarray or sequence of length n
            Images as for `transform`. They are checked, and not read.
        y : ignored

        Returns
        -------
        FeatureExtractor
            The transformer itself.
        """
        from tlbench.datasets import as_images

        as_images(X)
        self.backbone_ = self._loaded()
        self.n_features_out_ = self.backbone_.n_features
        return self

    def transform(self, X: ImagesLike) -> FloatArray:  # noqa: N803 - scikit-learn's own name
        """Return the features of images.

        Parameters
        ----------
        X : ndarray or sequence of length n
            uint8 (n, H, W, 3), RGB, or (n, H, W), grey. Or a sequence in which each image is such
            an array without the first axis, a Pillow image, or the path of an image file.

        Returns
        -------
        ndarray of shape (n, n_features), float32

        Raises
        ------
        DataError
            A ValueError: if these are not images, or a file cannot be decoded.
        """
        if self.__sklearn_is_fitted__():
            return self.backbone_.features(X)
        with self._loaded() as backbone:
            return backbone.features(X)

    def _loaded(self) -> LoadedBackbone:
        return load_backbone(
            self.model,
            fit=self.image_fit,
            crop_fraction=self.crop_fraction,
            input_size=self.input_size,
            provider=self.provider,
            provider_options=self.provider_options,
            threads=self.threads,
            batch_size=self.batch_size,
            cache_dir=self.cache_dir,
        )

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "backbone_")

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - a class of scikit-learn's
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
