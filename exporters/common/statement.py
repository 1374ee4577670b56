"""What a file or a library states of a network's preprocessing, and how its fields are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporters.common.fit import SquareFit
from exporters.common.preprocess import Resize, choose_resize
from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions

Triple = tuple[float, float, float]
BYTE = 1 / 255
# Pillow's numbers of its filters, and their names in timm.
_FILTERS: dict[object, str] = {0: "nearest", 2: "bilinear", 3: "bicubic"}
_OTHER_FILTERS: dict[object, str] = {1: "lanczos", 4: "box", 5: "hamming"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a file or a library states of a network's preprocessing; None where it is silent."""

    size: tuple[int, int] | None = None  # height and width of the network's input
    fit: SquareFit | None = None
    resize: Resize | None = None
    scale: float | None = None
    mean: Triple | None = None
    std: Triple | None = None
    channels: Literal["RGB", "BGR"] | None = None

    @property
    def is_of_pixels(self) -> bool:
        """Whether anything is said of the pixels' values."""
        return not (self.scale is None and self.mean is None and self.std is None)


def chooses_fit(options: ExportOptions) -> bool:
    """Tell whether the options choose the fit, of which the crop fraction is a part."""
    return options.fit is not None or options.crop_fraction != 1


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a file, each checked when it is read; null is as good as absent."""

    label: str
    values: Mapping[str, Any]

    def get(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value as it is."""
        return self.values.get(key)

    def wrong(self, key: str, expected: str) -> ConfigError:
        """Return the error that a field is not what is *expected*."""
        found = f"found {self.get(key)!r:.80}" if self.get(key) is not None else "but it is missing"
        return ConfigError(f"{self.label}: {key!r} must be {expected}, {found}.")

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = default if self.get(key) is None else self.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def number(self, key: str) -> float:
        """Return a number greater than 0."""
        value = self.get(key)
        if not is_number(value) or value <= 0:
            raise self.wrong(key, "a number greater than 0")
        return float(value)

    def three(self, key: str, *, positive: bool = False) -> Triple:
        """Return one value for each channel."""
        value = self.get(key)
        values = list(value) if isinstance(value, list | tuple) else [value]
        if len(values) not in {1, 3} or not all(map(is_number, values)):
            raise self.wrong(key, "one number, or three, one for each channel")
        if positive and min(values) <= 0:
            raise self.wrong(key, "greater than 0")
        red, green, blue = map(float, values * 3 if len(values) == 1 else values)
        return red, green, blue

    def filter(self, key: str, options: ExportOptions) -> Resize | None:
        """Return the resize, as Pillow does it: with antialiasing, except for the nearest pixel."""
        value = self.get(key)
        if value is None or options.resize is not None:
            return None
        names = [*_FILTERS.values(), *_OTHER_FILTERS.values()]
        is_one = isinstance(value, str) and value in names
        name = value if is_one else (_FILTERS | _OTHER_FILTERS).get(whole_number(value))
        if name is None:
            raise self.wrong(key, "a filter of Pillow, such as 'bilinear' or its number 2")
        if name in _OTHER_FILTERS.values():
            msg = (
                f"{self.label}: {key!r} is {value!r}, Pillow's filter {name}, which the graph "
                "cannot resize with. Choose resize='bilinear' or resize='bicubic'."
            )
            raise ConfigError(msg)
        return choose_resize(name, antialias=name != "nearest")

    def refuse_unknown(self, known: frozenset[str]) -> None:
        """Raise ConfigError for a key that may change pixels in a way that is unknown here."""
        unknown = [
            f"{key!r} ({value!r:.40})"
            for key, value in self.values.items()
            if key not in known and value is not None and value is not False
        ]
        if unknown:
            msg = (
                f"{self.label} has keys whose effect on the pixels is unknown: "
                f"{', '.join(unknown)}. If they have none, remove them from the file; otherwise "
                "state the preprocessing with scale=..., mean=... and std=... in place of the file."
            )
            raise ConfigError(msg)

    def needs_fit(self, found: str) -> ConfigError:
        """Return the error that no fit of the graph does what was *found*."""
        return ConfigError(
            f"{self.label}: {found}, which the graph cannot do. Choose the nearest that it can: "
            "fit='crop' with a crop_fraction, fit='squash' or fit='pad'."
        )

    def needs_size(self, found: str) -> ConfigError:
        """Return the error that the file does not state the size."""
        return ConfigError(
            f"{self.label}: {found}, so the size of the network's input is not known. "
            "Give input_size=..."
        )


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a finite number."""
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and math.isfinite(value)  # type: ignore[arg-type]


def whole_number(value: object) -> int | None:
    """Return a number of pixels, or of a filter; None for anything else."""
    return int(value) if is_number(value) and value == int(value) else None  # type: ignore[call-overload]
