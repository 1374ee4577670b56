"""The application, and one table of the library's parameters and its options."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer

# `tlbench.cli.app` adds the commands, which import this module.
app = typer.Typer(
    name="tlbench",
    help="Measure how fast and how accurate a frozen, pretrained backbone is on your images, on "
    "any device that ONNX Runtime supports.",
    epilog="Start with: tlbench run. Exit codes: 0 success; 1 a gate failed, no cell "
    "met a budget or, with --strict, a timing is INVALID; 2 an error; 130 after Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start-up time, and one line for a wrong option
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Parameters whose name differs from that of the command's own parameter, which names the option.
_RENAMED = {
    "scenarios": "scenario",
    "boundaries": "boundary",
    "curve": "learning_curve",
    "n_calibration": "calibrate_images",
    "rows": "row",
}


@dataclass(frozen=True, slots=True)
class OptionName:
    """How an option is written; *switch* is the value that it sets, None if it takes a value."""

    text: str
    switch: bool | None = None
    repeatable: bool = False


def whole_command() -> Any:  # noqa: ANN401 - click's types are typer's business
    """Return the application with all its commands."""
    importlib.import_module("tlbench.cli.app")  # it adds them, and imports this module
    return typer.main.get_command(app)


@cache
def option_names() -> Mapping[str, OptionName]:
    """Return the option of each parameter, from the parameters of the commands themselves."""
    found: dict[str, OptionName] = {}
    for parameter in _parameters(whole_command()):
        if parameter.param_type_name == "option":
            text = next((opt for opt in parameter.opts if opt.startswith("--")), parameter.opts[0])
            is_switch = parameter.is_flag
            found[parameter.name] = OptionName(
                text, True if is_switch else None, repeatable=parameter.multiple
            )
            if is_switch and parameter.name.startswith("no_"):
                found[parameter.name.removeprefix("no_")] = OptionName(text, switch=False)
    return found | {name: found[other] for name, other in _RENAMED.items()}


def _parameters(group: Any) -> Iterator[Any]:  # noqa: ANN401 - click's types are typer's business
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from _parameters(command)
        else:
            yield from command.params


def option_words(name: str, value: object) -> list[str]:
    """Return the words that set a parameter to a value; none where no option is needed for it.

    A parameter of the library alone has no words either.
    """
    option = option_names().get(name)
    if option is None:
        return []
    if option.switch is not None:
        return [option.text] if value is option.switch else []
    if value is None:
        return []
    if isinstance(value, Mapping):
        write = _literal if name == "factory_args" else str
        value = [f"{key}={write(one)}" for key, one in value.items()]
    if isinstance(value, list | tuple):
        if option.repeatable:
            return [word for one in value for word in (option.text, str(one))]
        return [option.text, ",".join(map(str, value)) or "none"]
    return [option.text, str(value)]


def _literal(value: object) -> str:
    """Return how an option writes a value that is read as Python writes it, or else as text."""
    try:
        ast.literal_eval(str(value))
    except (ValueError, SyntaxError):
        return str(value)
    return repr(value)


_QUOTED = r"""(?:'(?:[^']|(?<=\w)'(?=\w))*'|"[^"]*")"""
_VALUE = (
    rf"""\.\.\.|{_QUOTED}|\[[^\]]*\]|\([^)]*\)|\{{[^}}]*\}}"""
    r"""|[^\s,;()'"`]+?(?=[.:!?]*(?:[\s,;)`]|$))"""
)
# A quoted text, which stays as it is, or a word that may be a parameter: not a part of a path, of
# a call, of a command line or of MODEL@threads=1.
_WORDS = re.compile(
    rf"(?<!\w){_QUOTED}(?!\w)"
    rf"|(?<![^\s(\[`])(?<!\w\()(?P<name>[a-z][a-z_]*)"
    rf"(?:=(?P<value>{_VALUE})|(?![\w/\\(@#=-]|[.:]\S))"
)
_PATH_FOLLOWS = re.compile(r" cannot be ")


def speak_of_options(message: str) -> str:
    """Return a message of the library with its parameters named as the command line's options.

    A name without a value must be the first word or have an underscore: "heads" may be English.
    """

    def replace(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        option = option_names().get(name) if name else None
        if option is None:
            return match[0]
        if value is not None:
            return _setting(name, option, value)
        is_first = match.start() == 0 and not _PATH_FOLLOWS.match(message, match.end())
        is_meant = (is_first or "_" in name) and option.switch is not False
        return option.text if is_meant else match[0]

    return _WORDS.sub(replace, message)


def _setting(name: str, option: OptionName, text: str) -> str:
    """Return ``--name value`` for the text of a value as Python writes it."""
    if text == "...":
        return option.text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    return shlex.join(option_words(name, value)) or f"no {option.text}"
