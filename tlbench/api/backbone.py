"""A backbone in Python: exported or loaded once, then called with images."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from tlbench.api.progress import Progress, listener_of
from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, ModelError
from tlbench.datasets import ImagesLike, as_images
from tlbench.model import Backbone, ExportOptions, Fit, ModelCard, OnnxModel
from tlbench.workflows import default_cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tlbench.engine import Session

Options: TypeAlias = Mapping[str, str | int | float | bool]


class LoadedBackbone:
    """A backbone as an ONNX file, and the session that runs it, opened on first use.

    Copies and pickles of it have no session: each process opens its own.

    Parameters
    ----------
    path : str or Path
        An ONNX file that takes raw images.
    provider, provider_options, threads, batch_size
        As for `load_backbone`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        provider: str = "cpu",
        provider_options: Options | None = None,
        threads: int | None = None,
        batch_size: int = 32,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}.")
        self.model = OnnxModel(Path(path).expanduser())
        self.provider = provider
        self.provider_options = plain_options(provider_options)
        self.threads = threads
        self.batch_size = batch_size
        self._stack = ExitStack()
        self._session: Session | None = None

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.model.path

    @property
    def card(self) -> ModelCard | None:
        """The model card; None for a file that tlbench did not export."""
        return self.model.card

    @property
    def name(self) -> str:
        """Name of the backbone, or of its file where there is no card."""
        return self.card.backbone if self.card else self.path.stem

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        from math import prod

        if self.card is not None:
            return prod(self.card.feature_shape)
        return int(self.features(_black_image()).shape[1])

    def features(self, images: ImagesLike, *, progress: Progress = False) -> FloatArray:
        """Return the features of images.

        Parameters
        ----------
        images : ndarray or sequence
            Raw images: uint8 of shape (n, H, W, 3), RGB, or (n, H, W), grey. Or a sequence in which
            each image is such an array without the first axis, a Pillow image, or the path of an
            image file; sizes may differ. The backbone resizes and scales them itself.
        progress : bool or Listener
            True shows a progress bar.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            Row i belongs to image i.

        Raises
        ------
        DataError
            If these are not images; UnreadableImageError for a file that cannot be decoded.
        ModelError
            If the file's preprocessing is unknown, because it does not take raw images.
        ProviderUnavailableError
            If the provider cannot run here. No other provider takes its place.

        Examples
        --------
        >>> backbone = tlbench.load_backbone("efficientnet-lite0")
        >>> backbone.features(np.zeros((2, 32, 32, 3), dtype=np.uint8)).shape
        (2, 1280)
        """
        import numpy as np

        from tlbench.datasets import quiet_pillow
        from tlbench.engine import extract_features

        found = as_images(images)
        quiet_pillow()
        listener = listener_of(progress)
        rows = np.empty((0, 0), dtype=np.float32)

        def keep(index: LabelArray, features: "NDArray[Any]") -> None:
            nonlocal rows
            flat = features.reshape(len(index), -1)
            if not rows.size:
                rows = np.empty((len(found), flat.shape[1]), dtype=np.float32)
            rows[index] = flat

        if not len(found):
            return np.empty((0, self.n_features), dtype=np.float32)
        session = self._opened()
        listener.start("features", len(found), "images")
        try:
            extract_features(
                session.run,
                found,
                sink=keep,
                batch_size=self.batch_size,
                pad_tail=session.provider != "cpu",
                strict=True,
                listener=listener,
            )
        finally:
            listener.finish()
        return rows

    def _opened(self) -> "Session":
        from tlbench.engine import accepts_raw_images, check_provider, open_session

        if self._session is None:
            if not accepts_raw_images(self.model):
                first = self.model.inputs[0]
                msg = (
                    f"{self.path} takes {first.dtype} {first.shape}, not uint8 images "
                    "(N, H, W, 3): its preprocessing is unknown, so it has no features here. "
                    f"State it: tlbench.export('onnx:{self.path.name}', scale=..., ...)."
                )
                raise ModelError(msg)
            check_provider(self.provider)
            self._session = self._stack.enter_context(
                open_session(
                    self.model,
                    provider=self.provider,
                    provider_options=self.provider_options,
                    threads=self.threads,
                )
            )
        return self._session

    def close(self) -> None:
        """Close the session, whose memory and threads are freed; the next call opens another."""
        self._session = None
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_session": None, "_stack": None, "model": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.model, self._stack = OnnxModel(state["model"]), ExitStack()

    def __repr__(self) -> str:
        precision = f", {self.card.precision}" if self.card else ""
        return f"LoadedBackbone({self.name!r}{precision}, {self.provider}: {str(self.path)!r})"


Model: TypeAlias = str | Path | LoadedBackbone | Backbone
"""A backbone's name, the path of an ``.onnx`` file, or an object."""


def plain_options(options: Options | None) -> dict[str, str]:
    """Return a provider's options as text, as ONNX Runtime takes them."""
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in (options or {}).items()
    }


def export_options(
    *,
    weights: str | Path,
    factory_args: Mapping[str, Any] | None,
    preprocess: str | Path | None,
    **others: Any,
) -> ExportOptions:
    """Return the options of an export, with paths and empty mappings in their usual form."""
    return ExportOptions(
        weights=str(weights),
        factory_args=factory_args or None,
        preprocess=None if preprocess is None else Path(preprocess).expanduser(),
        **others,
    )


def channel_values(values: float | Sequence[float] | None) -> tuple[float, ...] | None:
    """Return one value, or one for each channel, as a tuple."""
    if values is None:
        return None
    return (float(values),) if isinstance(values, int | float) else tuple(map(float, values))


def _black_image() -> "NDArray[Any]":
    import numpy as np

    return np.zeros((1, 32, 32, 3), dtype=np.uint8)


@contextmanager
def named_model(
    model: Model, progress: Progress, options: ExportOptions
) -> Iterator[tuple[str, dict[str, OnnxModel]]]:
    """Yield the name of a model for a configuration, and the object that the name stands for.

    A backbone object is exported into a temporary folder: nothing identifies its code, so its file
    cannot be kept for other runs.
    """
    if isinstance(model, str | Path):
        yield str(model), {}
    elif isinstance(model, LoadedBackbone):
        yield str(model.path), {}
    elif isinstance(model, Backbone):
        from tlbench.model import export_backbone

        with tempfile.TemporaryDirectory(prefix="tlbench-") as folder:
            file = Path(folder) / f"{model.name}.onnx"
            exported = export_backbone(model, options, file, listener_of(progress))
            yield model.name, {model.name: exported}
    else:
        raise ConfigError(
            f"model must be a backbone's name, the path of an .onnx file or a backbone, got "
            f"{type(model).__name__}."
        )


def load_backbone(
    model: Model = "efficientnet-lite0",
    *,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    preprocess: str | Path | None = None,
    provider: str = "cpu",
    provider_options: Options | None = None,
    threads: int | None = None,
    batch_size: int = 32,
    cache_dir: str | Path | None = None,
    progress: Progress = False,
) -> LoadedBackbone:
    """Return a backbone that computes features of images.

    Parameters
    ----------
    model : str, Path or LoadedBackbone
        Name of a backbone, which is exported into the cache on first use, or path of an ``.onnx``
        file.
    fit, crop_fraction, input_size : str or None, float, int or None
        How a backbone given by its name is exported, as for `export`; a file refuses them.
    weights, factory_args, preprocess : str or Path, mapping or None, str, Path or None
        As for `export`: the weights, the arguments of the function that makes a PyTorch network,
        and a file that states its preprocessing.
    provider : str
        ONNX Runtime's execution provider: ``"cpu"``, ``"cuda"``, ...
    provider_options : mapping or None
        Options of the provider.
    threads : int or None
        Threads inside an operator; None for all processors that this process may use.
    batch_size : int
        Images per call of the network.
    cache_dir : str, Path or None
        Where exported backbones are kept; None for ``TLBENCH_CACHE`` or the user's cache.
    progress : bool or Listener
        True shows progress bars.

    Returns
    -------
    LoadedBackbone
        It is a context manager: leaving it closes the session.

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such backbone, or the file is not a usable ONNX model.

    Examples
    --------
    >>> tlbench.load_backbone("efficientnet-lite0").n_features
    1280
    """
    from tlbench.model import resolve_model

    options = export_options(
        fit=fit,
        crop_fraction=crop_fraction,
        input_size=input_size,
        weights=weights,
        factory_args=factory_args,
        preprocess=preprocess,
    )
    if isinstance(model, LoadedBackbone):
        model = model.path
    if isinstance(model, str | Path):
        cache = default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()
        path = resolve_model(
            str(model), cache_dir=cache, listener=listener_of(progress), options=options
        ).path
    else:
        raise ConfigError(
            f"model must be a name or a path, got {type(model).__name__}. Export a backbone object "
            "first: tlbench.export(backbone, 'FILE.onnx')."
        )
    return LoadedBackbone(
        path,
        provider=provider,
        provider_options=provider_options,
        threads=threads,
        batch_size=batch_size,
    )
