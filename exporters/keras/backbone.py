"""One network of ``keras.applications`` as an entry of ``tlbench.backbones``."""

from dataclasses import dataclass
from pathlib import Path

from exporters.common.preprocess import Preprocessing
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasBackbone:
    """What tlbench must know of a Keras network before TensorFlow is imported.

    Attributes
    ----------
    constructor : str
        Name of the function in ``keras.applications``.
    module : str
        Name of its module in ``keras.applications``, where ``preprocess_input`` is.
    input_size, min_size : int
        Height and width that the weights were trained for, and the least that Keras accepts.
    layer : str
        Last layer of the network without its classifier: the source of the features.
    n_features : int
        Number of features after pooling.
    preprocessing : Preprocessing
        The same as the module's ``preprocess_input``.
    licence : str
        Licence of the ImageNet weights, as far as Keras or their authors state one.
    pools_before_layer : bool
        Whether Keras pools the input of *layer* and not its output (ConvNeXt's last
        normalisation); :attr:`pooled_layer` is then its name in the network with classifier.
    rescales_imagenet : bool
        Whether Keras adds a layer to the architecture when it loads its ImageNet weights.
    """

    name: str
    constructor: str
    module: str
    input_size: int
    min_size: int
    layer: str
    n_features: int
    preprocessing: Preprocessing
    licence: str
    pools_before_layer: bool = False
    rescales_imagenet: bool = False

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that an export needs."""
        return ("tensorflow", "tf2onnx")

    @property
    def class_path(self) -> str:
        """Where the network is defined."""
        return f"keras.applications.{self.constructor}"

    @property
    def pooled_layer(self) -> str | None:
        """Layer of pooled features in the network with classifier, where *layer* is not in it."""
        return f"convnext_{self.name[8:]}_head_layernorm" if self.pools_before_layer else None

    @property
    def summary(self) -> str:
        """One line for ``tlbench list backbones``."""
        licence = self.licence.partition(", see ")[0].replace(" is ", ": ")
        licence = licence.replace("not stated by Keras; the authors'", "licence unstated;")
        licence = licence.replace("not stated by Keras", "licence unstated")
        return f"{self.input_size} px, {self.n_features} features; {licence}"

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Build the network in Keras, convert it with tf2onnx and verify it against Keras.

        Raises
        ------
        MissingDependencyError
            Without TensorFlow or tf2onnx.
        ConfigError, UnknownNameError
            If an option does not fit this network.
        ExportError
            If the weights cannot be had or do not fit, or the ONNX graph does not give the
            features that Keras gives. Nothing is left at *destination* then.
        StorageError
            If *destination* cannot be written.
        """
        from exporters.keras.export import export_backbone

        return export_backbone(self, options, destination, listener)
