"""Hold a run against the accuracy floors of its dataset; exit 1 if one is missed.

The floors are for EfficientNet-Lite0 on the small real copies (1,017 and 486 test images), a few
images below what was measured. `tlbench gate` runs beside this; a fault in it must not hide here.
"""

import json
import sys
from pathlib import Path

# (features, head) -> lowest and highest accuracy that is believed
LIMITS = {
    "cifar10": {
        ("backbone", "softmax"): (0.865, 0.95),
        ("backbone", "svm-linear"): (0.845, 0.95),
        ("pixels", "softmax"): (0.20, 0.45),
        ("pixels", "svm-linear"): (0.20, 0.45),
    },
    "cifar100": {("backbone", "softmax"): (0.48, 0.80)},
    "cifar100-coarse": {("backbone", "softmax"): (0.63, 0.85)},
}


def main() -> int:
    """Check one saved run."""
    run = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    dataset = run["dataset"]["name"]
    found = {(r["features"], r["head"]): r["accuracy_fraction"] for r in run["accuracy"]}
    n_failed = 0
    for key, (low, high) in LIMITS[dataset].items():
        accuracy = found.get(key)
        well = accuracy is not None and low <= accuracy <= high
        n_failed += not well
        state = "ok" if well else "FAILED"
        print(f"{dataset}: {' '.join(key)}: {accuracy} in [{low}, {high}]: {state}")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
