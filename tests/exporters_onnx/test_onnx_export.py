"""Files of other people become the artefact: what goes in, where it is cut, what comes out."""

import foreign_networks as nets
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from exporters.common.parity import probe_batches
from tlbench.model import OnnxModel

MEAN, STD = (
    np.reshape(one, (1, 3, 1, 1)) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


def images_of_the_input_size(n_images=5):
    """Which the resize leaves as they are."""
    return np.random.default_rng(0).integers(
        0, 256, (n_images, nets.SIZE, nets.SIZE, 3), dtype=np.uint8
    )


def torchvision_pixels(images):
    return ((images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD).astype(np.float32)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["batch", 1, 2])
def test_features_and_logits_are_the_files_own(export, run_onnx, run_original, layout, batch):
    """Run by hand on pixels that are normalised by hand; any number of images at once."""
    model = nets.classifier(
        layout=layout, batch=batch, flatten="reshape" if batch == 1 else "flatten"
    )
    path, card = export(model, top=True)
    images = images_of_the_input_size()
    found = run_onnx(path, images)
    single = nets.classifier(layout=layout)
    pixels = torchvision_pixels(images)
    for output, tensor in (("features", "code"), ("logits", "scores")):
        expected = run_original(single, pixels, tensor, layout=layout)
        # the mean is subtracted before the product with the scale, and not after
        np.testing.assert_allclose(found[output], expected, rtol=1e-4, atol=1e-5)
    assert (card.layer, card.feature_shape, card.n_classes) == ("code", (8,), 5)
    assert (card.preprocess.layout, card.input_size) == (layout, (24, 24))
    assert card.parity.max_rel <= 1e-4
    assert card.parity.n_images == 6


def test_the_resize_is_pillows(export, run_onnx, run_original):
    """With the antialiasing that a preprocessing file asks for; an odd size, not square."""
    path, _ = export(nets.classifier(), antialias=True, fit="squash")
    image = np.random.default_rng(1).integers(0, 256, (1, 90, 71, 3), dtype=np.uint8)
    resized = Image.fromarray(image[0]).resize((nets.SIZE, nets.SIZE), Image.Resampling.BILINEAR)
    pixels = torchvision_pixels(np.asarray(resized)[np.newaxis])
    expected = run_original(nets.classifier(), pixels, "code")
    # Pillow rounds to whole grey levels after each direction
    np.testing.assert_allclose(run_onnx(path, image)["features"], expected, atol=0.02)


def test_channels_may_be_bgr(export, run_onnx, run_original):
    """The mean belongs to the channels in the network's order."""
    options = {"channels": "bgr", "scale": 1.0, "mean": (103.0, 116.0, 123.0)}
    path, card = export(nets.classifier(), **options)
    images = images_of_the_input_size()
    pixels = images[..., ::-1].transpose(0, 3, 1, 2) - np.reshape(options["mean"], (1, 3, 1, 1))
    expected = run_original(nets.classifier(), pixels.astype(np.float32), "code")
    np.testing.assert_allclose(run_onnx(path, images)["features"], expected, rtol=1e-4, atol=1e-3)
    assert (card.preprocess.channels, card.preprocess.mean) == ("BGR", options["mean"])
    assert card.preprocessing == "BGR, x - (103, 116, 123)"


def test_bytes_go_in_as_they_are(export, run_onnx, run_original):
    """A uint8 input declares itself; after a resize its pixels are whole numbers again."""
    model = nets.classifier(kind="uint8", layout="NHWC", batch=1)
    path, card = export(model, scale=None, resize="bicubic")
    images = images_of_the_input_size()
    expected = run_original(
        model, images.transpose(0, 3, 1, 2), "code", layout="NHWC", kind="uint8"
    )
    np.testing.assert_allclose(run_onnx(path, images)["features"], expected, rtol=1e-5)
    assert card.preprocessing == "x"
    larger = np.full((1, 48, 48, 3), 255, np.uint8)
    larger[:, ::3] = 0  # a bicubic resize overshoots here
    assert np.isfinite(run_onnx(path, larger)["features"]).all()


def test_half_precision(export, run_onnx, run_original):
    """Float16 inside, float32 features outside."""
    model = nets.classifier(kind="float16")
    path, card = export(model, top=True)
    images = images_of_the_input_size()
    expected = run_original(model, torchvision_pixels(images), "code", kind="float16")
    found = run_onnx(path, images)["features"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, expected.astype(np.float32), atol=2e-3
    )  # 2 ** -11 is rounding
    assert card.precision == "fp16"
    assert card.parity.max_rel <= 4 * 2**-11


def test_eight_bits(export, run_onnx, tmp_path):
    """Quantise- and dequantise operators stay, and the file loads behind the resize."""
    path, card = export(nets.quantised(tmp_path / "q.onnx"), top=True)
    assert (card.precision, card.feature_shape) == ("int8", (8,))
    assert card.parity.max_rel <= 1e-4
    found = run_onnx(path, images_of_the_input_size())
    assert found["logits"].shape == (5, 5)
    operators = {node.op_type for node in OnnxModel(path).proto.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 18, 20])
def test_old_and_new_opsets(export, run_onnx, opset):
    """What is older than the resize is converted; what is newer stays."""
    path, card = export(nets.classifier(opset=opset, batch=1, flatten="reshape"))
    assert card.opset == max(opset, 18)
    assert f"opset {opset}" in card.source
    expected = run_onnx(export(nets.classifier())[0], images_of_the_input_size())
    found = run_onnx(path, images_of_the_input_size())
    np.testing.assert_allclose(found["features"], expected["features"], rtol=1e-5)


def test_a_chosen_opset(export):
    """Not below the file's own."""
    assert export(nets.classifier(opset=13), opset=20)[1].opset == 20


def test_constants_listed_as_inputs(export):
    """As in files of before 2019."""
    model = nets.classifier(opset=8, ir_version=3, as_inputs=True, batch=1, flatten="reshape")
    path, card = export(model)
    assert [tensor.name for tensor in OnnxModel(path).inputs] == ["images"]
    assert card.n_features == 8


def test_weights_in_another_file(export, tmp_path):
    """The artefact has them inside; the digest is of both files."""
    source = tmp_path / "apart.onnx"
    onnx.save(
        nets.classifier(), source, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    path, card = export(source)
    before = card.weights.sha256
    assert OnnxModel(path).card.n_features == 8
    content = bytearray((tmp_path / "w.bin").read_bytes())
    content[0] ^= 1
    (tmp_path / "w.bin").write_bytes(content)
    assert export(source)[1].weights.sha256 != before


def test_open_axes_need_only_a_size(export, run_onnx):
    """As Hugging Face's exports have them: all four."""
    model = nets.classifier(shape=("batch", "height", "width"))
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[1].dim_param = "num_channels"
    path, card = export(model, input_size=32)
    assert (card.input_size, card.preprocess.layout) == ((32, 32), "NCHW")
    assert run_onnx(path, images_of_the_input_size())["features"].shape == (5, 8)


def test_an_oblong_network_takes_squashed_images(export):
    """A preprocessing for its size would have to squash, too."""
    _, card = export(nets.classifier(shape=("batch", 16, 32)), fit="squash")
    assert card.input_size == (16, 32)


@pytest.mark.parametrize(
    ("end", "layer", "softmax"),
    [
        ("gemm", "code", True),
        ("matmul", "code", False),
        ("conv", "pooled", True),
        ("conv", "pooled", False),
    ],
)
def test_the_cut_is_before_the_last_linear_layer(export, end, layer, softmax):
    """Also where it is a convolution of one pixel; the logits are before a softmax."""
    _, card = export(nets.classifier(end=end, softmax=softmax), top=True)
    assert (card.layer, card.feature_shape, card.n_classes) == (layer, (8,), 5)


def test_a_chosen_tensor_and_chosen_logits(export, run_onnx):
    """Each by its name, without --top."""
    path, card = export(nets.classifier(), layer="active", top_output="probabilities")
    assert (card.layer, card.pooling, card.n_classes) == ("active", "avg", 5)
    found = run_onnx(path, images_of_the_input_size())
    np.testing.assert_allclose(found["logits"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "none"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_maps_are_pooled_or_flattened(export, run_onnx, run_original, layout, pooling):
    """The channels are found in either layout; flattened they come last."""
    model = nets.classifier()
    if layout == "NHWC":
        last = helper.make_node("Transpose", ["active"], ["channels_last"], perm=[0, 2, 3, 1])
        model.graph.node.append(last)
        model.graph.output.append(onnx.ValueInfoProto(name="channels_last"))
    layer = "active" if layout == "NCHW" else "channels_last"
    path, card = export(model, layer=layer, pooling=pooling)
    images = images_of_the_input_size()
    maps = run_original(nets.classifier(), torchvision_pixels(images), "active")
    pooled = {"avg": maps.mean((2, 3)), "max": maps.max((2, 3))}
    expected = pooled.get(pooling, maps.transpose(0, 2, 3, 1).reshape(5, -1))
    np.testing.assert_allclose(run_onnx(path, images)["features"], expected, rtol=1e-3, atol=1e-5)
    assert card.feature_shape == ((8,) if pooling != "none" else (12, 12, 8))


def test_tokens_are_pooled_over_their_positions(export):
    """(N, T, C) is a map as well."""
    assert export(nets.tokens(), layer="placed")[1].feature_shape == (8,)
    assert export(nets.tokens(), layer="placed", pooling="none")[1].feature_shape == (10, 8)


def test_a_class_token_is_joined_to_each_image(export, run_onnx):
    """A constant for a batch of one does not stop the batch from becoming dynamic."""
    path, card = export(nets.tokens(batch=1))
    assert card.layer == "mean"
    images = images_of_the_input_size()
    together = run_onnx(path, images)["features"]
    one_by_one = np.concatenate([run_onnx(path, one[np.newaxis])["features"] for one in images])
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)


def test_names_of_the_artefact_may_be_taken(export, run_onnx):
    """By the file's own tensors."""
    model = nets.classifier(name="images")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [
                {"code": "features", "map": "resized", "scores": "logits"}.get(one, one)
                for one in names
            ]
    path, card = export(model, top=True)
    assert card.layer == "features"
    found = run_onnx(path, images_of_the_input_size())
    expected = run_onnx(export(nets.classifier(), top=True)[0], images_of_the_input_size())
    for name in ("features", "logits"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_functions_of_the_file_are_opened(export):
    """Their tensors can be cut, too."""
    body = [helper.make_node("Relu", ["x"], ["y"])]
    opset = [helper.make_opsetid("", 18)]
    model = nets.classifier()
    model.functions.append(helper.make_function("own", "Active", ["x"], ["y"], body, opset))
    model.opset_import.append(helper.make_opsetid("own", 1))
    node = next(one for one in model.graph.node if one.op_type == "Relu")
    node.op_type, node.domain = "Active", "own"
    path, card = export(model)
    assert card.layer == "code"
    assert not OnnxModel(path).proto.functions


def test_weights_may_be_constant_nodes(export):
    """Instead of initializers; so may the shapes that reshape."""
    model = nets.classifier(batch=1, flatten="reshape")
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    del model.graph.initializer[:]
    others = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])
    assert export(model)[1].layer == "code"


def test_the_same_file_gives_the_same_bytes(export):
    """So that a cache may keep it."""
    first = export(nets.classifier())[0].read_bytes()
    assert export(nets.classifier())[0].read_bytes() == first


def test_the_verification_notices_a_wrong_preprocessing(export, monkeypatch):
    """It is independent of the graph's."""
    from exporters.onnx import reference
    from tlbench.core.errors import ExportError

    monkeypatch.setattr(reference, "resize_as", lambda pixels, size, resize: pixels[:, :, :24, :24])
    with pytest.raises(ExportError, match=r"differs from net\.onnx in onnxruntime"):
        export(nets.classifier())


def test_the_verification_notices_a_wrong_resize_before_a_network_that_rounds(
    export, monkeypatch, tmp_path
):
    """There the preprocessing is compared by itself."""
    from exporters.onnx import reference
    from tlbench.core.errors import ExportError

    monkeypatch.setattr(reference, "resize_as", lambda pixels, size, resize: pixels[:, :, :24, :24])
    with pytest.raises(ExportError, match="preprocessing differs from numpy's"):
        export(nets.quantised(tmp_path / "q.onnx"))


def test_probe_images_are_of_several_sizes():
    """Or the resize would not be verified."""
    assert len({batch.shape[1:3] for batch in probe_batches()}) > 1


def test_casts_inside_do_not_loosen_the_verification(export):
    """A network of float32 with a cast inside is verified as strictly."""
    model = nets.classifier()
    node = next(one for one in model.graph.node if one.op_type == "Relu")
    cast = helper.make_node("Cast", ["active"], ["active_cast"], to=TensorProto.FLOAT)
    following = next(one for one in model.graph.node if "active" in one.input)
    following.input[0] = "active_cast"
    model.graph.node.insert(list(model.graph.node).index(node) + 1, cast)
    assert export(model)[1].parity.max_rel <= 1e-4
