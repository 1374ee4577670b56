"""No document names a command, an option, a plugin, a file or a Python name that does not exist."""

import functools
import importlib
import re
import shlex
from importlib.metadata import entry_points

import pytest
import typer
from documents import DOCUMENTS, REPOSITORY, blocks_of, commands_of, name_of, prose_of, spans_of

from tlbench.cli.app import app

# Options that a document names and that are other programs'.
FOREIGN_OPTIONS = {
    "CONTRIBUTING.md": {"--benchmark-json"},  # pytest-benchmark's
    "docs/results/cuda-sweep.md": {"--kinds", "--budget-s"},  # benchmarks/cuda_sweep.py's
}
# Heads that a document shows how to write.
EXAMPLES = {"ridge", "wide"}
PLACEHOLDERS = {"COMMAND"}
# typer brings its own click, in which this class has no public name
USAGE_ERROR = typer.BadParameter.__bases__[0]
DOTTED = re.compile(r"(tlbench|exporters)(\.\w+)+")

BLOCK_COMMANDS = [
    pytest.param(command, id=f"{name_of(path)}: {command}")
    for path in DOCUMENTS
    for block in blocks_of(path)
    for command in commands_of(block)
    if re.search(r"\btlbench ", command)
]
SPAN_COMMANDS = sorted(
    {span for path in DOCUMENTS for span in spans_of(path) if span.startswith("tlbench ")}
)


def _tlbench_calls(command):
    """Return the arguments of each call of tlbench in a shell line."""
    command = re.sub(r"(^|\s)#.*", "", command)  # a comment
    calls = []
    for part in re.split(r"\s(?:&&|\|\||[|;])\s", command):
        words = shlex.split(re.sub(r"\s2?>\s?\S+", "", part))
        if words[:1] == ["tlbench"]:
            calls.append(words[1:])
    return calls


def _command_line(called):
    """Build the real command line, with commands that note their parameters and do nothing."""
    group = typer.main.get_command(app)

    def note(name, **values):
        called.append((name, values))

    def replace(commands, *names):
        for name, command in commands.items():
            if hasattr(command, "commands"):
                replace(command.commands, *names, name)
            else:
                command.callback = functools.partial(note, (*names, name))

    replace(group.commands)
    return group


@pytest.fixture
def parse():
    """Parse arguments as tlbench does; return its parameters, and why it refused them."""

    def run(arguments):
        called = []
        group = _command_line(called)
        try:
            group.main(list(arguments), prog_name="tlbench", standalone_mode=False)
        except USAGE_ERROR as error:
            return {}, f"{type(error).__name__}: {error}"
        return (called[0][1] if called else {}), None

    return run


def _known(group):
    return {point.name for point in entry_points(group=f"tlbench.{group}")} | {"none"} | EXAMPLES


def _check_names(values):
    """Names of plugins are those of plugins that there are."""
    for option, group in (
        ("heads", "heads"),
        ("baselines", "baselines"),
        ("head", "heads"),
        ("backbones", "backbones"),
    ):
        names = values.get(option) or ""
        assert {name for name in names.split(",") if name} <= _known(group), names
    dataset = values.get("dataset") or values.get("calibrate") or "digits"
    if not dataset.isupper():
        assert dataset.partition(":")[0] in _known("datasets"), dataset
    for precision in (values.get("precision"), *(values.get("precisions") or "fp32").split(",")):
        assert precision in {None, "fp32"} | _known("precisions")
    models = [values.get("model"), values.get("backbone"), *(values.get("models") or ())]
    for model in filter(None, models):
        name = re.split("[@:]", model)[0]
        is_placeholder = re.fullmatch(r"[A-Z.\[\]]+", name)
        assert is_placeholder or name.endswith(".onnx") or name in _known("backbones"), model


@pytest.mark.parametrize("command", BLOCK_COMMANDS)
def test_commands_in_blocks_are_accepted(parse, command):
    """The real parser takes them: options, choices and arguments, none missing."""
    for arguments in _tlbench_calls(command):
        values, refusal = parse(arguments)
        assert refusal is None
        _check_names(values)


def test_the_blocks_have_commands():
    """What is parametrised above is not empty by mistake."""
    documents = {param.id.partition(":")[0] for param in BLOCK_COMMANDS}
    assert documents > {
        "README.md",
        "docs/frozen-graphs.md",
        "docs/gating.md",
        "docs/latency.md",
        "docs/precisions.md",
        "docs/recipes.md",
        "docs/shipping.md",
    }


@pytest.mark.parametrize("span", SPAN_COMMANDS)
def test_commands_in_prose_are_accepted(parse, span):
    """The same, but what is only spoken of may lack its arguments."""
    for arguments in _tlbench_calls(span):
        if arguments[0] in PLACEHOLDERS:
            continue
        values, refusal = parse(arguments)
        if refusal is None:
            _check_names(values)
        else:
            assert re.match("MissingParameter|BadOptionUsage: .* requires an", refusal)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["run", "--no-such-option"], "NoSuchOption"),
        (["extract"], "MissingParameter"),
        (["export", "vgg16", "--pooling", "median"], "BadParameter"),
        (["no-such-command"], "NoSuchCommand|UsageError"),
        (["run", "--seed", "one"], "BadParameter"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_parser_refuses_what_does_not_exist(parse, arguments, error):
    """The tests above can fail."""
    _, refusal = parse(arguments)
    assert re.match(error, refusal)


def _all_options():
    def options(command):
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
        for child in getattr(command, "commands", {}).values():
            yield from options(child)

    return {*options(typer.main.get_command(app)), "--help", "--version"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_options_in_prose_exist(path):
    """Every ``--option`` in a span of code is one of some command's."""
    named = {
        option for span in spans_of(path) for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)
    }
    foreign = FOREIGN_OPTIONS.get(name_of(path), set())
    assert named - foreign <= _all_options()
    assert foreign <= named


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_python_names_in_prose_exist(path):
    """``tlbench.a.b`` is a module or something in one, a group of entry points, or metadata."""
    metadata = {"tlbench.card", "tlbench.classes", "tlbench.classifier"}
    for name in sorted(filter(DOTTED.fullmatch, spans_of(path))):
        if name in metadata or entry_points(group=name):
            continue
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    """Files exist, and so do the headings in them that are named."""
    for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", prose_of(path)):
        file, _, anchor = target.partition("#")
        linked = path.parent / file
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in anchors, target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_paths_in_prose_exist(path):
    """A file of this repository that is named in a span of code is there."""
    roots = ("tlbench/", "exporters/", "tests/", "benchmarks/", "docs/", ".ci/")
    for span in spans_of(path):
        if span.startswith(roots) and not re.search(r"[\s*<]", span):
            assert (REPOSITORY / span).exists(), span
