"""Small networks of PyTorch with the structures of well-known ones; their weights are fixed."""

from functools import wraps

import torch
from torch import nn
from torch.nn import functional


def trained(make):
    """Let a function return a network with the same weights each time, as if it were trained."""

    @wraps(make)
    def do(*args, **named):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            network = make(*args, **named)
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 1.5)
        return network

    return do


def classified(body, n_features):
    """Return a network that ends like most."""
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_features, 10))


class Basic(nn.Module):
    """The block of a small ResNet."""

    def __init__(self, before, width):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if before != width:
            self.shortcut.append(nn.Conv2d(before, width, 1))

    def forward(self, x):
        inner = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(inner + self.shortcut(x))


class Residual(nn.Module):
    """A ResNet: a stem, two groups of two blocks, a classifier that is defined first."""

    def __init__(self, width=6):
        super().__init__()
        self.fc = nn.Linear(width, 10)
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Basic(4, 4), Basic(4, 4))
        self.layer2 = nn.Sequential(Basic(4, width), Basic(width, width))
        self.drop = nn.Dropout(0.5)

    def maps(self, x):
        return self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        return self.fc(self.drop(self.maps(x).mean((2, 3))))


@trained
def residual(width=6):
    return Residual(width)


class ConvAct(nn.Sequential):
    def __init__(self, before, after, side=1):
        super().__init__(
            nn.Conv2d(before, after, side, padding=side // 2), nn.BatchNorm2d(after), nn.ReLU6()
        )


class Squeeze(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).tanh()).sigmoid()


class Inverted(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Sequential(
            ConvAct(width, 8), ConvAct(8, 8, 3), Squeeze(8), nn.Conv2d(8, width, 1)
        )

    def forward(self, x):
        return x + self.conv(x)


@trained
def mobile():
    """A MobileNet or EfficientNet: inverted residuals with squeezes, a convolution at the end."""
    stages = [nn.Sequential(Inverted(4), Inverted(4)), nn.Sequential(Inverted(4))]
    return classified(nn.Sequential(ConvAct(3, 4, 3), *stages, ConvAct(4, 12)), 12)


class ConvUnit(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(before, after, 1), nn.BatchNorm2d(after)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class Mixed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one = ConvUnit(width, 2)
        self.two = nn.Sequential(ConvUnit(width, 2), ConvUnit(2, 2))

    def forward(self, x):
        return torch.cat([self.one(x), self.two(x)], 1)


class Inception(nn.Module):
    """Blocks that are attributes, inside a wrapper, with an auxiliary block that never runs."""

    def __init__(self):
        super().__init__()
        self.stem = ConvUnit(3, 4)
        self.mixed_a, self.mixed_b, self.mixed_c = Mixed(4), Mixed(4), Mixed(4)
        self.aux = Mixed(4)

    def forward(self, x):
        return self.mixed_c(self.mixed_b(self.mixed_a(self.stem(x))))


@trained
def inception():
    return classified(Inception(), 4)


class Plain(nn.Module):
    """VGG: convolutions between poolings, and two dense layers before the last."""

    def __init__(self):
        super().__init__()
        layers = []
        for before, after in ((3, 4), (4, 4), (4, 6)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 10))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


@trained
def plain():
    return Plain()


@trained
def unpooled():
    """Two convolutions, and nothing to tell blocks by."""
    return classified(nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 3)), 6)


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 12), nn.Linear(12, width)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))


class Pair(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one, self.two = Mlp(width), Mlp(width)

    def forward(self, x):
        return self.one(x) * self.two(x).sigmoid()


class Transform(nn.Module):
    """A block with several perceptrons, as in a mixer, and attention, which hides a layer."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.first, self.second = Pair(width), Mlp(width)

    def forward(self, x):
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.second(self.first(x))


class Encoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.layers = nn.ModuleList([Transform(width) for _ in range(3)])
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)[:, 0]


class Vision(nn.Module):
    """A vision transformer whose blocks are inside an encoder."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.encoder = Encoder(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)))


@trained
def vision():
    return Vision()


class Stage(nn.Module):
    """As in a ConvNeXt or Swin: a class of its own that has its blocks in a container."""

    def __init__(self, width):
        super().__init__()
        self.downsample = nn.Conv2d(width, width, 1)
        self.blocks = nn.Sequential(Basic(width, width), Basic(width, width))

    def forward(self, x):
        return self.blocks(self.downsample(x))


@trained
def staged():
    return classified(nn.Sequential(nn.Conv2d(3, 4, 3), Stage(4), Stage(4)), 4)


class Numbered(nn.Module):
    """As in timm's RegNets: a stage whose blocks are attributes."""

    def __init__(self, width):
        super().__init__()
        self.b1, self.b2, self.b3 = (Basic(width, width) for _ in range(3))

    def forward(self, x):
        return self.b3(self.b2(self.b1(x)))


@trained
def numbered():
    return classified(nn.Sequential(nn.Conv2d(3, 4, 3), Numbered(4), Numbered(4)), 4)


class Shared(Residual):
    """Its last block has a kernel of the first one, and is listed before it."""

    def __init__(self):
        super().__init__(4)
        self.layer2[1].conv1.weight = self.layer1[0].conv1.weight
        self._modules = dict(reversed(self._modules.items()))


@trained
def shared():
    return Shared()


class WithoutGradients(Residual):
    @torch.no_grad()
    def maps(self, x):
        return super().maps(x)


@trained
def without_gradients():
    return WithoutGradients()


class NormalisesByTheBatch(Residual):
    """Turns a normalisation back to training mode whenever it runs."""

    def maps(self, x):
        self.layer2[1].norm2.train()
        return super().maps(x)


@trained
def normalises_by_the_batch():
    return NormalisesByTheBatch()


class OfOneBatch(Residual):
    """Reads the size of the batch as Python's number, which PyTorch's converter takes for fixed."""

    def maps(self, x):
        maps = super().maps(x)
        return maps + torch.zeros(1, *maps.shape[1:]).expand(len(x), -1, -1, -1)


@trained
def of_one_batch():
    return OfOneBatch()


NOTED: list[bool] = []


class Noting(Residual):
    """Notes for each batch whether its first group of blocks is part of a graph of gradients."""

    def maps(self, x):
        before = self.layer1(functional.relu(self.bn1(self.conv1(x))))
        NOTED.append(before.requires_grad)
        return self.layer2(before)


@trained
def noting():
    return Noting()


class ForFewImages(Residual):
    def maps(self, x):
        if x.shape[0] > 12 and torch.is_grad_enabled():
            raise RuntimeError("out of memory:\ntried to allocate 2 GiB")
        return super().maps(x)


@trained
def for_few_images():
    return ForFewImages()


@trained
def oblong():
    """States its preprocessing as timm does, for images that are not square."""
    network = Residual()
    network.pretrained_cfg = {
        "architecture": "oblong",
        "input_size": (3, 16, 24),
        "interpolation": "bicubic",
        "crop_pct": 0.5,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
    }
    return network


def fresh():
    """A network that nobody trained: other weights each time."""
    return Residual()
