"""The networks of ``keras.applications`` as backbones, one constant for each entry point."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.common.preprocess import Preprocessing
from exporters.keras.network import KerasNetwork

if TYPE_CHECKING:  # `tlbench list backbones` imports this module: nothing heavy here
    from tlbench.core.progress import Listener
    from tlbench.model import ExportOptions, ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasBackbone(KerasNetwork):
    """One Keras network as an entry of ``tlbench.backbones``."""

    requires = ("tensorflow", "tf2onnx")

    @property
    def summary(self) -> str:
        """One line for ``tlbench list backbones``; the card has the licence in full."""
        is_stated = not self.licence.startswith("not stated")
        licence = self.licence.partition(" (")[0] if is_stated else "licence not stated"
        return f"{self.constructor}, {self.input_size} px, {self.n_features} features, {licence}"

    def export(
        self, options: "ExportOptions", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Write the ONNX file and return its card; see `tlbench.model.Backbone`."""
        from exporters.keras.export import export_network

        return export_network(self, options, destination, listener)


# The four preprocessings of keras.applications, as affine maps of pixels from 0 to 255.
_TF = Preprocessing("x / 127.5 - 1", mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)
_CAFFE = Preprocessing(
    "BGR, x - (103.939, 116.779, 123.68)", mean=(103.939, 116.779, 123.68), channels="BGR"
)
_TORCH = Preprocessing(
    "(x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
)
_INSIDE = Preprocessing("x: the network rescales its input itself")

# What Keras's own documentation of the applications states or, where it states nothing, the licence
# of the repository that the weights came from.
_PAGE = "https://keras.io/api/applications/"
_VGG = "CC BY 4.0 (VGG, University of Oxford)"
_RESNET = "MIT (Kaiming He)"
_APACHE = "Apache-2.0 (tensorflow/models)"
_XCEPTION = "MIT (trained by Keras)"
_DENSENET = "BSD-3-Clause (liuzhuang13/DenseNet)"
_UNSTATED = f"not stated by Keras ({_PAGE})"
_EFFICIENTNET = f"not stated by Keras ({_PAGE}); the authors' code is Apache-2.0"
_CONVNEXT = f"not stated by Keras ({_PAGE}); the authors' repository is MIT"


def _row(
    path: str,
    input_size: int,
    features: tuple[str, int],
    preprocessing: Preprocessing,
    licence: str,
    *,
    min_size: int = 32,
    **flags: bool,
) -> KerasBackbone:
    module, constructor = path.split(":")
    layer, n_features = features
    return KerasBackbone(
        name=constructor.lower(),
        constructor=constructor,
        module=module,
        input_size=input_size,
        min_size=min_size,
        layer=layer,
        n_features=n_features,
        preprocessing=preprocessing,
        licence=licence,
        **flags,
    )


def _efficientnet(version: str, input_size: int, n_features: int) -> KerasBackbone:
    module = "efficientnet_v2" if version.startswith("V2") else "efficientnet"
    return _row(
        f"{module}:EfficientNet{version}",
        input_size,
        ("top_activation", n_features),
        _INSIDE,
        _EFFICIENTNET,
        rescales_imagenet=not version.startswith("V2"),
    )


def _convnext(size: str, n_features: int) -> KerasBackbone:
    return _row(
        f"convnext:ConvNeXt{size}",
        224,
        ("layer_normalization", n_features),
        _INSIDE,
        _CONVNEXT,
        pools_before_layer=True,
    )


VGG16 = _row("vgg16:VGG16", 224, ("block5_pool", 512), _CAFFE, _VGG)
VGG19 = _row("vgg19:VGG19", 224, ("block5_pool", 512), _CAFFE, _VGG)
RESNET50 = _row("resnet:ResNet50", 224, ("conv5_block3_out", 2048), _CAFFE, _RESNET)
RESNET101 = _row("resnet:ResNet101", 224, ("conv5_block3_out", 2048), _CAFFE, _RESNET)
RESNET152 = _row("resnet:ResNet152", 224, ("conv5_block3_out", 2048), _CAFFE, _RESNET)
RESNET50V2 = _row("resnet_v2:ResNet50V2", 224, ("post_relu", 2048), _TF, _UNSTATED)
RESNET101V2 = _row("resnet_v2:ResNet101V2", 224, ("post_relu", 2048), _TF, _UNSTATED)
RESNET152V2 = _row("resnet_v2:ResNet152V2", 224, ("post_relu", 2048), _TF, _UNSTATED)
INCEPTIONV3 = _row("inception_v3:InceptionV3", 299, ("mixed10", 2048), _TF, _APACHE, min_size=75)
INCEPTIONRESNETV2 = _row(
    "inception_resnet_v2:InceptionResNetV2", 299, ("conv_7b_ac", 1536), _TF, _APACHE, min_size=75
)
XCEPTION = _row(
    "xception:Xception", 299, ("block14_sepconv2_act", 2048), _TF, _XCEPTION, min_size=71
)
MOBILENET = _row("mobilenet:MobileNet", 224, ("conv_pw_13_relu", 1024), _TF, _APACHE)
MOBILENETV2 = _row("mobilenet_v2:MobileNetV2", 224, ("out_relu", 1280), _TF, _APACHE)
MOBILENETV3SMALL = _row(
    "mobilenet_v3:MobileNetV3Small", 224, ("activation_17", 576), _INSIDE, _UNSTATED
)
MOBILENETV3LARGE = _row(
    "mobilenet_v3:MobileNetV3Large", 224, ("activation_19", 960), _INSIDE, _UNSTATED
)
DENSENET121 = _row("densenet:DenseNet121", 224, ("relu", 1024), _TORCH, _DENSENET)
DENSENET169 = _row("densenet:DenseNet169", 224, ("relu", 1664), _TORCH, _DENSENET)
DENSENET201 = _row("densenet:DenseNet201", 224, ("relu", 1920), _TORCH, _DENSENET)
NASNETMOBILE = _row("nasnet:NASNetMobile", 224, ("activation_187", 1056), _TF, _APACHE)
NASNETLARGE = _row("nasnet:NASNetLarge", 331, ("activation_259", 4032), _TF, _APACHE)
EFFICIENTNETB0 = _efficientnet("B0", 224, 1280)
EFFICIENTNETB1 = _efficientnet("B1", 240, 1280)
EFFICIENTNETB2 = _efficientnet("B2", 260, 1408)
EFFICIENTNETB3 = _efficientnet("B3", 300, 1536)
EFFICIENTNETB4 = _efficientnet("B4", 380, 1792)
EFFICIENTNETV2B0 = _efficientnet("V2B0", 224, 1280)
EFFICIENTNETV2B1 = _efficientnet("V2B1", 240, 1280)
EFFICIENTNETV2B2 = _efficientnet("V2B2", 260, 1408)
EFFICIENTNETV2B3 = _efficientnet("V2B3", 300, 1536)
EFFICIENTNETV2S = _efficientnet("V2S", 384, 1280)
CONVNEXTTINY = _convnext("Tiny", 768)
CONVNEXTSMALL = _convnext("Small", 768)
CONVNEXTBASE = _convnext("Base", 1024)
