"""Linear heads: softmax regression and two linear support vector machines."""

from tlbench.heads.base import Classifier, Head, Params, SearchSpace

# Inverse strength of the L2 penalty of softmax, on standardised features. Cross-validated on the
# training images of small CIFAR copies with 1,280 features, 0.001 to 0.01 lie within a point for
# 10 and 20 classes; 100 classes of ten images each lose twelve points at 0.001, two at 0.005.
SOFTMAX_C = 0.005

# 45 strengths of the penalty from 1e5 to 1e-6, four to a factor of ten, with C = 1 / strength: the
# protocol of Kornblith, Shlens and Le (2019), *Do Better ImageNet Models Transfer Better?*,
# arXiv:1805.08974, here in the scale of scikit-learn's C on standardised features.
_SOFTMAX_SEARCH = tuple(10 ** (step / 4 - 5) for step in range(45))

# Two values to a factor of ten, around what is best on features as they are, and of length 1.
_SVM_SEARCH = tuple(10 ** (step / 2 - 6) for step in range(15))
_SVM_FAST_SEARCH = tuple(10 ** (step / 2 - 3) for step in range(11))


def _softmax(params: Params, seed: int) -> Classifier:
    """Standardise, then multinomial logistic regression by L-BFGS: no random numbers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    del seed
    estimator: Classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=params["C"],
            tol=params["tol"],
            max_iter=params["max_iter"],
            class_weight=params["class_weight"],
        ),
    )
    return estimator


def _svm_linear(params: Params, seed: int) -> Classifier:
    """Linear SVM of LIBSVM on the features as they are, one for each pair of classes."""
    from tlbench.heads.estimators.pairwise import PairwiseLinearSVC

    del seed
    estimator: Classifier = PairwiseLinearSVC(C=params["C"], class_weight=params["class_weight"])
    return estimator


def _svm_linear_fast(params: Params, seed: int) -> Classifier:
    """Scale to length 1, then LIBLINEAR: one SVM for each class against the rest, squared hinge.

    Rows of length 1 make one C fit features of any scale, which raw features would not. Time grows
    with the number of images, that of ``svm-linear`` with its square.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer
    from sklearn.svm import LinearSVC

    estimator: Classifier = make_pipeline(
        Normalizer(),
        LinearSVC(
            C=params["C"],
            tol=params["tol"],
            max_iter=params["max_iter"],
            class_weight=params["class_weight"],
            dual=True,  # "auto" takes the primal solver: same accuracy, slower
            random_state=seed,
        ),
    )
    return estimator


SOFTMAX = Head(
    name="softmax",
    summary="Standardised features, multinomial logistic regression (L-BFGS).",
    defaults={"C": SOFTMAX_C, "tol": 1e-4, "max_iter": 2000, "class_weight": None},
    build=_softmax,
    search=SearchSpace(parameter="C", values=_SOFTMAX_SEARCH, warm_argument="C"),
)

SVM_LINEAR = Head(
    name="svm-linear",
    summary="Raw features, linear SVM of LIBSVM, one against one: the protocol of 2016.",
    # C of the published experiment (lazybones-2016).
    defaults={"C": 0.1, "class_weight": None},
    build=_svm_linear,
    search=SearchSpace(parameter="C", values=_SVM_SEARCH),
)

SVM_LINEAR_FAST = Head(
    name="svm-linear-fast",
    summary="Features of length 1, linear SVM of LIBLINEAR, one against the rest.",
    defaults={"C": 1.0, "tol": 1e-4, "max_iter": 5000, "class_weight": None},
    build=_svm_linear_fast,
    search=SearchSpace(parameter="C", values=_SVM_FAST_SEARCH),
)
