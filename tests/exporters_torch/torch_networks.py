"""Small networks of PyTorch, and functions that fail to return one."""

import torch
from torch import nn
from torch.nn import functional


class Tiny(nn.Module):
    """Two convolutions and a classifier that is defined first and runs last."""

    def __init__(self, width=8, num_classes=10):
        super().__init__()
        self.classify = nn.Linear(width, num_classes) if num_classes else nn.Identity()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.Conv2d(4, width, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        # As if it had been trained: otherwise the normalisation does nothing.
        generator = torch.Generator().manual_seed(3)
        self.norm.running_mean.copy_(torch.rand(4, generator=generator))
        self.norm.running_var.copy_(torch.rand(4, generator=generator) + 0.5)

    def maps(self, images):
        return self.body(functional.relu(self.norm(self.stem(images))))

    def forward(self, images):
        return self.classify(self.drop(functional.relu(self.maps(images)).mean((2, 3))))

    @classmethod
    def from_name(cls, name, **settings):
        return cls({"small": 4, "large": 16}[name], **settings)


def tiny(width=8, *, num_classes=10):
    return Tiny(width, num_classes)


def trained():
    """A network with weights of its own, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Tiny()


def fresh_head():
    """Trained, but for a new classifier."""
    network = trained()
    network.classify = nn.Linear(8, 3)
    return network


def known_to_timm():
    """As timm leaves its networks."""
    network = trained()
    network.pretrained_cfg = {
        "architecture": "tiny",
        "input_size": (3, 24, 24),
        "interpolation": "bicubic",
        "crop_pct": 0.75,
        "crop_mode": "center",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "license": "cc-by-nc-4.0",
    }
    return network


class Blocks(nn.Module):
    """Channels last, with a linear layer in the block and none at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)
        self.mlp = nn.Linear(6, 6)

    def forward(self, images):
        maps = self.norm(self.stem(images).permute(0, 2, 3, 1))
        return (maps + self.mlp(maps)).mean((1, 2))


class LinearOnMaps(Blocks):
    """Its last linear layer reads maps (N, H, W, C), and is the end."""

    def forward(self, images):
        return self.mlp(self.norm(self.stem(images).permute(0, 2, 3, 1)))


class RunsTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.classify = nn.Linear(4, 2)

    def forward(self, images):
        maps = self.again(self.stem(images))
        return self.classify(self.again(maps.relu()).mean((2, 3)))


class Returning(nn.Module):
    """Returns its logits in some structure."""

    def __init__(self, wrap):
        super().__init__()
        self.inner = trained()
        self.wrap = wrap

    def forward(self, images):
        return self.wrap(self.inner(images))


def returns_dict():
    return Returning(lambda logits: {"logits": logits, "loss": None})


def returns_other_dict():
    return Returning(lambda logits: {"out": logits})


def returns_tuple():
    return Returning(lambda logits: (logits, logits.softmax(1)))


class TwoInputs(Tiny):
    def forward(self, images, mask):
        return super().forward(images * mask)


class RandomDropout(Tiny):
    def forward(self, images):
        maps = functional.dropout(self.maps(images), 0.5, training=True)
        return self.classify(maps.mean((2, 3)))


class StatisticsOfTheBatch(Tiny):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)


class AlwaysTraining(Tiny):
    def train(self, mode=True):
        return super().train(True)


class DependsOnPixels(Tiny):
    def forward(self, images):
        return super().forward(images if images.mean() > 0.123 else images.flip(1))


class FixedBatch(Tiny):
    def forward(self, images):
        return self.classify(self.maps(images).reshape(2, 8, -1).mean(2))


class NotANumber(Tiny):
    def forward(self, images):
        return self.classify((self.maps(images) * float("nan")).mean((2, 3)))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, stride=4)
        self.flat = nn.Flatten(2)
        self.idle = nn.Linear(6, 6)
        self.pair = Pair()
        self.classify = nn.Linear(6, 2)

    def forward(self, images):
        return self.classify(self.pair(self.flat(self.stem(images)))[0].mean(2))


class Pair(nn.Module):
    def forward(self, values):
        return values, values


class OneSize(Tiny):
    def forward(self, images):
        assert images.shape[2] == 32, f"expected 32 pixels, got {images.shape[2]}"
        return super().forward(images)


class Squeezes(Tiny):
    """Gives a vector, and not a row, for a single image."""

    def forward(self, images):
        return self.classify(self.maps(images).mean((2, 3)).squeeze())


def fails():
    raise RuntimeError("no such file:\nweights.bin")


def exits():
    raise SystemExit(3)


def prints():
    print("printed by the factory")
    return trained()


def returns_nothing():
    return None


def returns_pair():
    return trained(), "transforms"


NETWORK = trained()
NUMBER = 3
