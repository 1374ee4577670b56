"""Every head of the registry becomes nodes that predict what scikit-learn does, or is refused."""

import numpy as np
import onnx
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import RidgeClassifier, SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler
from sklearn.svm import SVC

from tlbench.core.errors import ConfigError, MissingDependencyError, ModelError, TlbenchError
from tlbench.engine import feature_output, open_session
from tlbench.fusion import PROBABILITY_TOLERANCE, fit_classifier, fuse_graphs
from tlbench.heads import HEADS, check_requirements, resolve_params
from tlbench.model import OnnxModel

FUSABLE = {"softmax", "svm-linear", "svm-linear-fast", "mlp", "centroid"}
ARITHMETICS = ["float32", "float64"]


@pytest.fixture(scope="module")
def photos():
    """300 images of 10 colours under noise, so that a head has something to learn; and a colour."""
    generator = np.random.default_rng(3)
    labels = np.arange(300) % 10
    colours = generator.uniform(40, 215, (10, 3))
    noise = generator.normal(0, 60, (300, 12, 12, 3))
    pixels = colours[labels][:, np.newaxis, np.newaxis] + noise
    return np.clip(pixels, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module")
def tiny_features(tiny_path, photos):
    with open_session(OnnxModel(tiny_path), threads=1) as session:
        return session.run(photos[0])


def built(name):
    head = HEADS.load(name)

    def build(labels):
        params, _ = head.adapt(resolve_params(head, {}), labels)
        return head.build(params, 0)

    return build


def fused(tiny_path, head, arithmetic, destination):
    backbone = OnnxModel(tiny_path)
    model = fuse_graphs(backbone, feature_output(backbone), head, arithmetic)
    onnx.save(model, destination)
    return OnnxModel(destination)


def assert_equal_to_scikit_learn(ask, model, head, features, images):
    labels, probabilities = ask(model, images)
    np.testing.assert_array_equal(labels, head.predict(features))
    assert (labels.dtype, probabilities.dtype) == (np.int64, np.float32)
    expected = head.probabilities(features)
    assert probabilities.shape == expected.shape
    # the promise of tlbench fuse
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=PROBABILITY_TOLERANCE)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.tensorflow if HEADS.load(name).requires else ())
        for name in HEADS.names()
    ],
)
def test_a_head_fuses_or_is_refused_by_name(name, tiny_path, photos, tiny_features):
    """What cannot be fused says so in an error of ours."""
    try:
        check_requirements(HEADS.load(name))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    labels, build, backbone = photos[1], built(name), OnnxModel(tiny_path)

    def fuse():
        head = fit_classifier(
            name, lambda: build(labels), tiny_features, labels, n_classes=10, seed=0
        )
        return fuse_graphs(backbone, feature_output(backbone), head, "float32")

    try:
        onnx.checker.check_model(fuse())
    except TlbenchError as error:  # knn, or a head that needs maps
        refusal = str(error)
    else:
        return
    assert name not in FUSABLE
    assert refusal.endswith(".")


def test_a_refusal_names_what_can_be_fused(tiny_path, photos, tiny_features):
    labels, build, backbone = photos[1], built("knn"), OnnxModel(tiny_path)
    head = fit_classifier("knn", lambda: build(labels), tiny_features, labels, n_classes=10, seed=0)
    with pytest.raises(ConfigError, match="Head 'knn' cannot be fused") as refused:
        fuse_graphs(backbone, feature_output(backbone), head, "float32")
    assert all(name in str(refused.value) for name in FUSABLE)
    assert str(refused.value).endswith(
        "trained networks, and plugins with linear classifiers behind StandardScaler or Normalizer."
    )


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    "present", [[0, 1], [3, 7], [0, 1, 2], [1, 4, 8, 9], list(range(10))], ids=str
)
@pytest.mark.parametrize("name", sorted(FUSABLE))
def test_labels_and_probabilities_are_scikit_learns(
    name, present, arithmetic, tiny_path, photos, tiny_features, ask, tmp_path
):
    """With two classes and with many; classes without training images are never probable."""
    images, labels = photos
    chosen = np.isin(labels, present)
    build = built(name)
    head = fit_classifier(
        name,
        lambda: build(labels[chosen]),
        tiny_features[chosen],
        labels[chosen],
        n_classes=10,
        seed=0,
    )
    model = fused(tiny_path, head, arithmetic, tmp_path / "fused.onnx")
    # float32 may lack digits for a centroid's large scores: tlbench fuse then takes float64
    if (name, arithmetic) != ("centroid", "float32"):
        assert_equal_to_scikit_learn(ask, model, head, tiny_features, images)
    _, probabilities = ask(model, images)
    absent = [label for label in range(10) if label not in present]
    assert not probabilities[:, absent].any()
    # float32 rounding of a sum of ten
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


PLUGINS = {
    "ridge": make_pipeline(StandardScaler(), RidgeClassifier()),
    "ridge, normalised": make_pipeline(
        StandardScaler(with_mean=False), Normalizer(), RidgeClassifier()
    ),
    "svc": make_pipeline(StandardScaler(with_std=False), SVC(kernel="linear")),
    "nested": make_pipeline(make_pipeline(StandardScaler(), "passthrough"), SVC(kernel="linear")),
    "tanh": MLPClassifier((8, 5), activation="tanh", max_iter=20, random_state=0),
    "identity": MLPClassifier((), activation="identity", max_iter=20, random_state=0),
    "logistic": MLPClassifier((8,), activation="logistic", max_iter=20, random_state=0),
}


@pytest.mark.parametrize("estimator", PLUGINS.values(), ids=PLUGINS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_plugins_estimator_is_known_by_what_it_learnt(
    estimator, tiny_path, photos, tiny_features, ask, tmp_path
):
    """Linear classifiers and networks of scikit-learn that no built-in head uses."""
    images, labels = photos
    head = fit_classifier("plugin", lambda: estimator, tiny_features, labels, n_classes=10, seed=0)
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    assert_equal_to_scikit_learn(ask, model, head, tiny_features, images)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (SVC(kernel="rbf"), "SVC"),
        (make_pipeline(MaxAbsScaler(), RidgeClassifier()), "MaxAbsScaler"),
        (make_pipeline(Normalizer("l1"), RidgeClassifier()), "Normalizer"),
    ],
    ids=["kernel", "scaler", "norm"],
)
def test_what_has_no_form_is_named(estimator, named, tiny_path, photos, tiny_features, tmp_path):
    head = fit_classifier(
        "plugin", lambda: estimator, tiny_features, photos[1], n_classes=10, seed=0
    )
    with pytest.raises(ConfigError, match=f"'plugin' cannot be fused: {named} has no ONNX form"):
        fused(tiny_path, head, "float32", tmp_path / "fused.onnx")


def test_labels_are_int64_whatever_the_estimator_gives(
    tiny_path, photos, tiny_features, ask, tmp_path
):
    """scikit-learn answers in the type of the labels that it learnt."""
    labels = (np.arange(300) % 3).astype(np.int32)
    head = fit_classifier("r", RidgeClassifier, tiny_features, labels, n_classes=4, seed=0)
    assert head.estimator.predict(tiny_features).dtype == np.int32
    assert head.predict(tiny_features).dtype == np.int64
    assert head.probabilities(tiny_features).shape == (300, 4)
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    assert_equal_to_scikit_learn(ask, model, head, tiny_features, photos[0])


def test_a_network_with_an_unknown_activation_is_named(tiny_path, photos, tiny_features, tmp_path):
    build = built("mlp")
    head = fit_classifier(
        "odd", lambda: build(photos[1]), tiny_features, photos[1], n_classes=10, seed=0
    )
    network = head.estimator[-1] if hasattr(head.estimator, "steps") else head.estimator
    network.activation = "softsign"
    with pytest.raises(ConfigError, match="^Head 'odd' cannot be fused: softsign with softmax has"):
        fused(tiny_path, head, "float32", tmp_path / "fused.onnx")


def test_an_estimator_that_does_not_know_its_classes_is_named(tiny_path, tiny_features, tmp_path):
    """A plugin's object that only looks like a classifier."""

    class Odd:
        predict = predict_proba = staticmethod(lambda features: np.zeros(len(features), int))
        fit = staticmethod(lambda features, labels: None)

    head = fit_classifier("odd", Odd, tiny_features, np.arange(300) % 2, n_classes=2, seed=0)
    with pytest.raises(ConfigError, match="^Head 'odd' cannot be fused: Odd has no ONNX form here"):
        fused(tiny_path, head, "float32", tmp_path / "fused.onnx")


@pytest.mark.parametrize("dtype", [onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16])
def test_features_of_another_type_are_cast(dtype, tiny_path, photos, tiny_features, ask, tmp_path):
    """Half-precision features differ from the float32 ones that the head was fitted on."""
    model = onnx.load(tiny_path)
    (output,) = model.graph.output
    output.type.tensor_type.elem_type = dtype
    for node in model.graph.node:
        node.output[:] = ["plain" if name == output.name else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Cast", ["plain"], [output.name], to=dtype))
    onnx.save(model, tmp_path / "typed.onnx")
    images, labels = photos
    build = built("softmax")
    head = fit_classifier(
        "softmax", lambda: build(labels), tiny_features, labels, n_classes=10, seed=0
    )
    found, probabilities = ask(
        fused(tmp_path / "typed.onnx", head, "float32", tmp_path / "f"), images
    )
    assert (found.dtype, probabilities.dtype) == (np.int64, np.float32)
    # half precision has 11 bits
    np.testing.assert_allclose(probabilities, head.probabilities(tiny_features), atol=0.02)


def test_an_estimator_with_other_probabilities_is_not_taken_for_equal(
    tiny_path, photos, tiny_features, ask, tmp_path
):
    """One-against-rest probabilities are no softmax: the comparison before writing shows it."""
    images, labels = photos
    estimator = SGDClassifier(loss="log_loss", random_state=0)
    head = fit_classifier("sgd", lambda: estimator, tiny_features, labels, n_classes=10, seed=0)
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    labels, probabilities = ask(model, images)
    np.testing.assert_array_equal(labels, head.predict(tiny_features))
    assert np.abs(probabilities - head.probabilities(tiny_features)).max() > 1e-3


def test_a_row_of_zeros_is_left_alone_as_by_scikit_learn(tiny_path, photos, ask, tmp_path):
    """Black images have features of length 0 in the tiny backbone."""
    images = np.concatenate([np.zeros((3, 12, 12, 3), np.uint8), photos[0][:40]])
    with open_session(OnnxModel(tiny_path), threads=1) as session:
        features = session.run(images)
    assert not features[:3].any()
    labels = np.arange(len(images)) % 3
    build = built("svm-linear-fast")
    head = fit_classifier(
        "svm-linear-fast", lambda: build(labels), features, labels, n_classes=3, seed=0
    )
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    assert_equal_to_scikit_learn(ask, model, head, features, images)


def test_equal_votes_go_to_the_first_class(tiny_path, ask, tmp_path):
    """Three classes that beat one another in a circle have a vote each, as in LIBSVM."""

    class Circle:
        """Zero against one, one against two, two against zero."""

        classes_ = np.arange(3)
        n_support_ = np.ones(3)
        coef_ = np.zeros((3, 16))
        intercept_ = np.array([1.0, -1.0, 1.0])

    from tlbench.fusion import FittedHead

    platt = type("One", (), {"a_": -1.0, "b_": 0.0})()
    calibrated = type("Calibrated", (), {})()
    calibrated.calibrated_classifiers_ = [type("Pair", (), {"calibrators": [platt] * 3})()]
    head = FittedHead(name="circle", estimator=Circle(), calibrated=calibrated, n_classes=3)
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    labels, _ = ask(model, np.zeros((2, 8, 8, 3), np.uint8))
    assert labels.tolist() == [0, 0]


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize(("smallest", "n_folds"), [(30, 5), (5, 5), (4, 4), (2, 2)])
def test_a_calibration_is_that_of_its_seed_and_folds(
    photos, tiny_features, seed, smallest, n_folds
):
    """Five folds, or as many as the smallest class has images, dealt by the seed."""
    kept = np.flatnonzero((photos[1] != 0) | (np.cumsum(photos[1] == 0) <= smallest))
    features, labels = tiny_features[kept], photos[1][kept]
    build = built("svm-linear-fast")
    head = fit_classifier("svm", lambda: build(labels), features, labels, n_classes=10, seed=seed)

    def calibrated(random_state):
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        own = CalibratedClassifierCV(build(labels), cv=folds, ensemble=False)
        return own.fit(features, labels).predict_proba(features)

    np.testing.assert_array_equal(head.probabilities(features), calibrated(seed))
    assert np.abs(head.probabilities(features) - calibrated(seed + 1)).max() > 1e-4
    assert f"sigmoid, {n_folds} folds" in head.probabilities_are


def test_a_class_of_one_image_cannot_be_calibrated(photos, tiny_features):
    labels = np.where(np.arange(300) == 5, 2, np.arange(300) % 2)
    build = built("svm-linear")
    with pytest.raises(ConfigError, match="two training images of each class.*Fuse softmax or mlp"):
        fit_classifier(
            "svm-linear", lambda: build(labels), tiny_features, labels, n_classes=3, seed=0
        )


def test_a_backbone_with_a_tensor_of_that_name_is_refused(
    tiny_path, photos, tiny_features, tmp_path
):
    """A classifier is no backbone."""
    build = built("softmax")
    head = fit_classifier(
        "softmax", lambda: build(photos[1]), tiny_features, photos[1], n_classes=10, seed=0
    )
    model = fused(tiny_path, head, "float32", tmp_path / "fused.onnx")
    with pytest.raises(ModelError, match="already has a tensor named .* seems to be a classifier"):
        fuse_graphs(model, feature_output(OnnxModel(tiny_path)), head, "float32")


def test_an_old_opset_is_refused(tiny_path, photos, tiny_features, tmp_path):
    build = built("softmax")
    head = fit_classifier(
        "softmax", lambda: build(photos[1]), tiny_features, photos[1], n_classes=10, seed=0
    )
    old = onnx.load(tiny_path)
    old.opset_import[0].version = 11
    onnx.save(old, tmp_path / "old.onnx")
    backbone = OnnxModel(tmp_path / "old.onnx")
    with pytest.raises(ModelError) as refused:
        fuse_graphs(backbone, feature_output(backbone), head, "float32")
    assert str(refused.value) == (
        f"{backbone.path} has opset 11; a head needs 13 or later. Export the backbone again with a "
        "later opset, and repeat the run."
    )
