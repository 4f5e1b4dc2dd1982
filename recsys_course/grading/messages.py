"""What a learner reads when a check fails: values, calls and their own line, short enough to take in at a glance."""

from __future__ import annotations

import inspect
import linecache
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.grading.comparison import plain

MARKS = {"solved": "✔", "not attempted": "○"}  # everything else: ✘
MAX_TEXT = 240  # characters of one value
LINE = 88  # a value up to this length stands on one line
INDENT = " " * 12

_COURSE = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple({_COURSE, *(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))})


def show(value: Any) -> str:
    """Return a short text of a value: floats rounded to six digits, arrays to four, long things cut in the middle."""
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "toarray") or hasattr(value, "numpy"):
        return _show_array(value)
    if hasattr(value, "to_string"):  # pandas
        return value.to_string(max_rows=8)
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))
    if isinstance(value, list | tuple | set | frozenset):
        return _cut(_brackets(value).format(", ".join(_cut(show(item), 100) for item in value)))
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{show(key)}: {show(item)}" for key, item in value.items()) + "}")
    if inspect.isroutine(value) or inspect.isclass(value):
        return getattr(value, "__name__", repr(value))
    return _cut(repr(value))


def _show_array(value: Any) -> str:
    array = plain(value)
    if not isinstance(array, np.ndarray):
        return show(array.item() if isinstance(array, np.generic) else array)
    if array.ndim == 0:
        return show(array.item())
    text = np.array2string(array, separator=", ", precision=4, suppress_small=True, threshold=40, edgeitems=3)
    one_line = " ".join(text.split())
    return one_line.replace("[ ", "[") if len(one_line) <= LINE else text


def _brackets(value: Any) -> str:
    if isinstance(value, list):
        return "[{}]"
    if isinstance(value, tuple):
        return "({},)" if len(value) == 1 else "({})"
    return "{{{}}}" if value else "set({})"


def _cut(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]} ... {text[-limit // 4 :]}"


def compose(id: str, outcome: str, told: str = "", lines: Sequence[str] = (), where: str = "") -> str:
    """A whole message: exercise and outcome, what to tell the learner, then the labelled lines."""
    head = f"{MARKS.get(outcome, '✘')} {id} {outcome}" + (f" · {where}" if where else "")
    return "\n".join([head, *([f"  {told}"] if told else []), *lines])


def field(label: str, text: str) -> str:
    """One labelled line of a message; further lines of the text stand below its first."""
    return f"  {label:<10}" + text.rstrip().replace("\n", "\n" + INDENT)


def call(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return ``name(arguments)`` on one line, or with long arguments named on lines of their own."""
    texts = [show(value) for value in args] + [f"{key}={show(value)}" for key, value in kwargs.items()]
    one_line = f"{name}({', '.join(texts)})"
    if len(one_line) <= LINE and "\n" not in one_line:
        return one_line
    named = inspect.signature(function).bind(*args, **kwargs).arguments
    lines = [f"{name}({', '.join(named)}) with"]
    for key, value in named.items():
        lines.append(f"  {key} = " + show(value).replace("\n", "\n" + " " * (len(key) + 5)))
    return "\n".join(lines)


def learners_line(error: BaseException, checked_by: str = "") -> tuple[int, str] | None:
    """Return number and text of the deepest line of the learner's own code in an error's traceback, if there is one.

    ``checked_by`` is the file of the check, which is no learner's.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != checked_by and _is_learners(frame.filename)]
    if not own:
        return None
    return own[-1].lineno or 0, linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()


def _is_learners(filename: str) -> bool:
    if filename.startswith(("<frozen", "<__array_function__")) or "__autograph_generated_file" in filename:
        return False
    return not filename.startswith(_LIBRARIES) and "site-packages" not in filename and "dist-packages" not in filename


def describe_error(error: BaseException, checked_by: str = "") -> list[str]:
    """Return the lines that tell of an error in the learner's code: what it was, and their own line where it rose."""
    if isinstance(error, SystemExit):
        text = "your code called exit(): return a value instead"
    elif isinstance(error, KeyboardInterrupt):
        text = "stopped while your code was still running: is there a loop that never ends?"
    elif isinstance(error, RecursionError):
        text = "RecursionError: your function calls itself without end"
    else:
        text = f"{type(error).__name__}: {_cut(str(error).strip() or '(no message)', 400)}"
    lines = [field("raised", text)]
    if (line := learners_line(error, checked_by)) is not None:
        lines.append(field("your line", f"{line[0]}: {line[1]}" if line[1] else str(line[0])))
    return lines
