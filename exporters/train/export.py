"""Export a finished checkpoint: rebuilt in float32 on TensorFlow, converted, verified, written.

tf2onnx reads TensorFlow graphs only. A checkpoint has the architecture and plain arrays, so that a
network trained on another backend is exported by a process of its own that runs TensorFlow.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from exporters.common.finish import GraphOutputs
from exporters.common.options import check_opset_of_tf2onnx
from exporters.common.preprocess import BILINEAR
from exporters.common.publish import publish
from exporters.common.session import Frameworks, keras_session
from exporters.keras.convert import convert
from exporters.train.architectures import FEATURES
from exporters.train.checkpoint import Checkpoint
from exporters.train.images import FIT, preparation
from exporters.train.session import wanted_backend
from tlbench.core import errors
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError, MissingDependencyError, TlbenchError
from tlbench.core.progress import Listener, Silent, task
from tlbench.model import ModelCard, OnnxModel

_TENSORFLOW = "tensorflow"


def check_exportable(checkpoint: Path, listener: Listener) -> None:
    """Warn before a long training if it can be trained here, but not exported."""
    if wanted_backend() != _TENSORFLOW and (missing := _missing()):
        listener.warn(
            f"{' and '.join(missing)} are not installed here, and an ONNX file is written with "
            f"them. The training will end with its checkpoint, {checkpoint}, from which another "
            "environment or machine writes the file."
        )


def _missing() -> list[str]:
    wanted = ("tensorflow", "tf2onnx")
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def export_checkpoint(path: Path, destination: Path, listener: Listener) -> ModelCard:
    """Write the network of a finished training as an ONNX file, verified against Keras."""
    if missing := _missing():
        msg = (
            f"The training is finished and kept at {path}, but {' and '.join(missing)}, which "
            "write the ONNX file, are not installed here. Install them with pip install "
            "'tlbench[export]', set KERAS_BACKEND=tensorflow, and pass resume=True: nothing is "
            "trained again."
        )
        raise MissingDependencyError(msg)
    if wanted_backend() == _TENSORFLOW:
        return _export(Checkpoint.read(path), destination, listener)
    with task(listener, "export in a process that runs TensorFlow"):
        return _export_elsewhere(path, destination)


def _export_elsewhere(path: Path, destination: Path) -> ModelCard:
    done = subprocess.run(  # noqa: S603 - this module, on this Python
        [sys.executable, "-m", "exporters.train.export", str(path), str(destination)],
        env={**os.environ, "KERAS_BACKEND": _TENSORFLOW},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        card = OnnxModel(destination).card
        assert card is not None
        return card
    if done.returncode == 1 and lines:
        kind, message = json.loads(lines[-1])
        raise getattr(errors, kind)(message)
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    msg = (
        f"The process that exports the network ended with code {done.returncode}: {reason}. The "
        f"training is kept at {path}; pass resume=True to export it again."
    )
    raise ExportError(msg)


def _export(checkpoint: Checkpoint, destination: Path, listener: Listener) -> ModelCard:
    with keras_session() as frameworks:
        opset = check_opset_of_tf2onnx(frameworks, None)
        with task(listener, f"convert {checkpoint.network} with tf2onnx"):
            model = _rebuilt(frameworks, checkpoint)
            features, logits = model.outputs
            outputs = GraphOutputs(
                pools=False,
                pooling="avg",
                feature_shape=(int(features.shape[-1]),),
                n_classes=int(logits.shape[-1]),
            )
            graph = convert(frameworks, model, outputs, opset)
        size = checkpoint.record.settings["input_size"]
        prepare = preparation(size, checkpoint.preprocessing)

        def reference(images: ImageArray) -> list[FloatArray]:
            found = model(prepare(images), training=False)
            return [np.asarray(output) for output in found]

        return publish(
            graph,
            backbone=checkpoint.network,
            source=f"trained by tlbench, {checkpoint.record.software}",
            weights=checkpoint.weights_info,
            size=(size, size),
            fit=FIT,
            resize=BILINEAR,
            preprocessing=checkpoint.preprocessing,
            layer=FEATURES,
            outputs=outputs,
            opset=opset,
            reference=reference,
            reference_name=frameworks.reference_name,
            destination=destination,
            listener=listener,
            training=checkpoint.record,
        )


def _rebuilt(frameworks: Frameworks, checkpoint: Checkpoint) -> Any:  # noqa: ANN401 - a Keras model
    """Return the network in float32 with both outputs, whatever precision it was trained in."""
    frameworks.start_over()
    text = checkpoint.architecture.replace('"mixed_float16"', '"float32"')
    trained = frameworks.keras.models.model_from_json(text)
    trained.set_weights(list(checkpoint.final))
    return frameworks.keras.Model(
        trained.input, [trained.get_layer(FEATURES).output, trained.output]
    )


def _main() -> int:
    """Export in a process of its own; the last line of stdout is the error, if there is one."""
    path, destination = map(Path, sys.argv[1:])
    try:
        _export(Checkpoint.read(path), destination, Silent())
    except TlbenchError as error:
        sys.stdout.write(json.dumps([type(error).__name__, str(error)]) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
