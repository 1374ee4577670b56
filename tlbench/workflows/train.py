"""Train a network on a dataset, and measure the file that comes of it like any other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tlbench.core.errors import ConfigError, StorageError
from tlbench.core.files import check_file
from tlbench.core.hashing import sha256_array, sha256_value
from tlbench.core.progress import Listener, Silent, titled
from tlbench.datasets import Dataset
from tlbench.engine import check_provider
from tlbench.features import ArrayStore
from tlbench.heads import assign_folds, check_folds, check_training, summarise_folds
from tlbench.model import (
    ModelCard,
    TrainableNetwork,
    TrainingOptions,
    TrainingRecord,
    TrainingRequest,
    find_network,
)
from tlbench.records import OWN_CLASSIFIER, CrossValidation, Fold, entry_name
from tlbench.workflows.config import RunConfig
from tlbench.workflows.run import MeasuredTiming, RunOutcome, record_of, time_model
from tlbench.workflows.steps.accuracy import MeasuredAccuracy
from tlbench.workflows.steps.context import RunContext, cache_folder, load_limited_dataset
from tlbench.workflows.steps.features import BACKBONE, extract_split
from tlbench.workflows.steps.images import keep_images
from tlbench.workflows.steps.own_classifier import classify, score_own_classifier
from tlbench.workflows.steps.readable import ReadableImages
from tlbench.workflows.steps.record import dataset_info
from tlbench.workflows.steps.timed_model import latency_inputs
from tlbench.workflows.steps.warnings import data_warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What is trained, and the file that it becomes.

    Attributes
    ----------
    network : str or TrainableNetwork
        Name of a network, such as ``"wrn-28-8"`` or ``"finetune:resnet50"``, or an object.
    options : TrainingOptions
    destination : Path
        The ONNX file; its checkpoint is beside it until the next training.
    resume : bool
        Whether to go on from that checkpoint.
    """

    network: str | TrainableNetwork
    options: TrainingOptions
    destination: Path
    resume: bool = False

    @classmethod
    def of(
        cls,
        network: str | TrainableNetwork,
        options: TrainingOptions,
        dataset: str,
        file: str | Path | None,
        *,
        resume: bool = False,
    ) -> "TrainingPlan":
        """Return a plan whose file is named after network and dataset unless *file* names it."""
        if file is None:
            title = network if isinstance(network, str) else network.name
            # folder:PATH gives the folder's name; finetune:resnet50 keeps both of its words
            # and timm:hf-hub:OWNER/NAME is no folder
            words = [*title.replace("/", "-").split(":"), Path(dataset.rpartition(":")[2]).stem]
            file = "-".join(words) + ".onnx"
        destination = Path(file).expanduser()
        return cls(network=network, options=options, destination=destination, resume=resume)

    @property
    def checkpoint(self) -> Path:
        """The file that is replaced after each epoch."""
        return self.destination.with_suffix(".checkpoint")


def train_network(
    plan: TrainingPlan, config: RunConfig, listener: Listener | None = None, *, command: str = ""
) -> RunOutcome:
    """Train a network, write it as an ONNX file, and measure its accuracy and its latency.

    Parameters
    ----------
    plan : TrainingPlan
    config : RunConfig
        Dataset, limits, provider, and whether to measure the latency. With folds, the network is
        trained once more for each of them. Heads and baselines are not looked at: the accuracy is
        that of the network's own classifier.
    command : str
        Command line that repeats the run, for the record.

    Returns
    -------
    RunOutcome
        The card in its result has the record of the training.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged, or if the training fails.
    """
    listener = listener or Silent()
    created = datetime.now(UTC)
    network = find_network(plan.network)
    check_provider(config.provider)
    _check_destination(plan.destination)
    destination = plan.destination
    config = replace(
        config, model=str(destination.absolute()), heads=(OWN_CLASSIFIER,), baselines=()
    )
    with cache_folder(config) as cache_dir:
        dataset = load_limited_dataset(config, listener)
        store = ArrayStore(cache_dir / "store", on_damage=listener.warn)
        data = ReadableImages.of(dataset, config, store, listener)
        unlearnable = check_training(data.train.labels, dataset.classes)
        if config.protocol.folds is not None:
            check_folds(data.all_labels, config.protocol.folds, config.seed)
        card = network.train(_request(plan, dataset, data), destination, listener)
        with RunContext(config, listener, cache_dir, dataset) as context:
            accuracy = _measure(context, data, card)
            accuracy = replace(
                accuracy,
                unlearnable=unlearnable,
                cross_validations=tuple(_cross_validate(network, plan, context, data, card)),
            )
            inputs = latency_inputs(context.model, dataset.test.images)
            timing = time_model(context, inputs, accuracy) if config.latency else MeasuredTiming()
            result = record_of(
                context,
                created,
                command=command,
                accuracy=accuracy,
                timing=timing,
                assumptions=inputs.assumptions if config.latency else (),
            )
    return RunOutcome(result, accuracy.predictions, accuracy.images)


def _check_destination(destination: Path) -> None:
    if destination.suffix.lower() != ".onnx":
        msg = f"The name of the file to write must end in .onnx, got {str(destination)!r}."
        raise ConfigError(msg)
    if destination.is_dir():
        raise StorageError(f"{destination} is a folder. Give the path of the file to write.")
    check_file(destination, advice="Choose another path.")


def _request(plan: TrainingPlan, dataset: Dataset, data: ReadableImages) -> TrainingRequest:
    return TrainingRequest(
        options=plan.options,
        train=data.train,
        test=data.test,
        classes=dataset.classes,
        dataset=dataset.name,
        fingerprint=dataset.train.fingerprint,
        checkpoint=plan.checkpoint,
        resume=plan.resume,
    )


def _training_of(card: ModelCard) -> TrainingRecord:
    assert card.training is not None  # `TrainableNetwork.train` says so
    return card.training


def _measure(context: RunContext, data: ReadableImages, card: ModelCard) -> MeasuredAccuracy:
    """Score the network's own classifier on the test split."""
    dataset, test = context.dataset, data.test
    # For reports, and for heads on these features; it brings the thumbnails along.
    features = extract_split(context, dataset.test, "test")
    found = score_own_classifier(context, _training_of(card), dataset, test.images, test.labels)
    name = entry_name(found.result)
    assert found.confidence is not None  # of a softmax
    return MeasuredAccuracy(
        dataset=dataset_info(dataset, data.skipped),
        extraction=(features.result,),
        results=(found.result,),
        images=keep_images(context, features, {name: (found.confidence_kind, found.confidence)}),
        predictions={
            "labels": test.labels,
            "index": test.index,
            name: found.predictions,
        },
        data_warnings=data_warnings(context, data.train, test),
        is_limited=dataset.is_limited,
    )


def _cross_validate(
    network: TrainableNetwork,
    plan: TrainingPlan,
    context: RunContext,
    data: ReadableImages,
    card: ModelCard,
) -> Iterator[CrossValidation]:
    """Train once for each fold; the folds are those of a head on frozen features."""
    config, n_folds = context.config, context.config.protocol.folds
    if n_folds is None:
        return
    context.close_session()  # its idle threads would spin beside the training
    labels = data.all_labels
    fold_of = assign_folds(labels, n_folds, config.seed)
    folds: list[Fold] = []
    checkpoints = [
        plan.destination.with_suffix(f".fold-{i + 1}.checkpoint") for i in range(n_folds)
    ]
    for number, checkpoint in enumerate(checkpoints):
        inside, outside = np.flatnonzero(fold_of == number), np.flatnonzero(fold_of != number)
        request = replace(
            _request(plan, context.dataset, data),
            train=data.part(outside),
            test=data.part(inside),
            fingerprint=sha256_value([context.dataset.fingerprint, sha256_array(outside)]),
            checkpoint=checkpoint,
            # The folds after an interrupted one have not begun.
            resume=plan.resume and checkpoint.is_file(),
        )
        folds.append(_fold(network, request, context, f"fold {number + 1} of {n_folds}"))
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    yield summarise_folds(
        folds,
        labels,
        features=BACKBONE,
        head=OWN_CLASSIFIER,
        params=_training_of(card).settings,
        baseline=False,
        seed=config.seed,
    )


def _fold(
    network: TrainableNetwork, request: TrainingRequest, context: RunContext, title: str
) -> Fold:
    """Train on the images outside a fold, and classify those inside."""
    with TemporaryDirectory(prefix="tlbench-") as folder:
        file = Path(folder) / "fold.onnx"
        card = network.train(request, file, titled(context.listener, title))
        config = replace(context.config, model=str(file))
        with RunContext(config, context.listener, context.cache_dir, context.dataset) as of_fold:
            test = request.test
            logits, _ = classify(of_fold, test.images, len(request.classes), f"classify {title}")
    return Fold(
        n_train=len(request.train.labels),
        n_test=len(test.labels),
        n_correct=int(np.count_nonzero(logits.argmax(axis=1) == test.labels)),
        fit_s=_training_of(card).elapsed_s,
    )
