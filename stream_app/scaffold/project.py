"""A new project's files, written from the templates that lie beside this module.

`template/common/` is in every project; `template/orders/` is the example that is trained from a log,
`template/from_model/` the use case around a model that exists. A template's path and text hold words
in capitals, such as PROJECT, for which a project's own texts are put in.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stream_app.scaffold.errors import ScaffoldError

__all__ = ["check_name", "install_command", "write_project"]

_TEMPLATES: Final = Path(__file__).parent / "template"
_SUFFIX: Final = ".template"
"""Keeps linters and type checkers away from what is no module yet."""
_ROOT: Final = Path(__file__).parents[2]
_FOLDERS: Final = ("artifacts", "tests")
"""Beside the package in a project's folder."""
_EXAMPLE: Final = {"INTRODUCTION": (
    "will an order be returned? Change `events.py`,\n`views.py` and `predictions.py` into your own, "
    "with `training/generate.py`, or a log of yours in its place,\nand `tests/`."
), "EVENT_TOPIC": "PROJECT.ordered", "HOW_TO_CHANGE": """Let orders, for
example, be forgotten sooner, in `PROJECT/views.py`:

```diff
-ORDERS = DecayedSums(90 * DAY, ("price",))
+ORDERS = DecayedSums(30 * DAY, ("price",))
```

Version 1 is refused now, with what has changed:

    .venv/bin/stream-app check"""}  # fmt: skip


def check_name(name: str) -> None:
    """Raise `ScaffoldError` unless the name can be that of a package, a topic and an image."""
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) is None or keyword.iskeyword(name):
        raise ScaffoldError(
            f"{name!r} cannot name a project: take lower-case letters, digits and single underscores "
            "between them, a letter first, and no word of Python's own. Example: orders"
        )
    if name in sys.stdlib_module_names or name in _FOLDERS:
        whose = "a folder of every project" if name in _FOLDERS else "a module of Python's own"
        raise ScaffoldError(f"{name} is {whose}: choose another name.")
    if importlib.util.find_spec(name) is not None:
        raise ScaffoldError(f"{name} is a package that is installed: choose another name.")


def write_project(name: str, folder: Path, model: Path | None = None) -> list[Path]:
    """Write a project into a folder that does not exist; returns its files, relative to the folder.

    `model`: an ONNX file to begin from, which is copied. Raises `ScaffoldError` and, for a model that
    cannot be served, `PackageError`.
    """
    if folder.exists() or folder.is_symlink():
        raise ScaffoldError(f"{folder} exists already: choose another name or --directory.")
    check_name(name)
    words, graph = dict(_EXAMPLE), None
    if model is not None:
        # Here, so that the example needs no runtime.
        from stream_app.scaffold.from_model import words_of
        from stream_app.training.export.onnx_file import read_onnx

        graph = read_onnx(model).graph
        words = words_of(graph)
    words = {word: text.replace("PROJECT", name) for word, text in words.items()}
    words |= {
        "PROJECT": name,
        "EDITABLE_SOURCE": _editable_source(),
        "IMAGE_OF_SOURCE": _image_of_source(),
    }
    texts = _texts(("common", "orders" if model is None else "from_model"), words)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    if graph is not None:
        (folder / "model.onnx").write_bytes(graph)
        return sorted([*texts, Path("model.onnx")])
    return sorted(texts)


def install_command() -> str:
    """What installs a new project into its virtual environment, as its README says it."""
    return f".venv/bin/pip install {_editable_source()}--editable '.[dev,training]'"


def _texts(templates: tuple[str, ...], words: Mapping[str, str]) -> dict[Path, str]:
    """The project's files, by path."""
    pattern = re.compile("|".join(sorted(words, key=len, reverse=True)))

    def put(text: str) -> str:
        return pattern.sub(lambda found: words[found[0]], text)

    texts = {}
    for template in templates:
        root = _TEMPLATES / template
        for path in sorted(root.rglob(f"*{_SUFFIX}")):
            target = put(path.relative_to(root).as_posix().removesuffix(_SUFFIX))
            # A word that stands for nothing leaves no empty line of a block behind.
            text = re.sub(r"(?m)^    \n", "", put(path.read_text(encoding="utf-8")))
            texts[Path(target)] = text
    return texts


def _is_source() -> bool:
    """Whether this library runs from its source, so that no package index need have it."""
    return (_ROOT / "pyproject.toml").is_file()


def _editable_source() -> str:
    if not _is_source():
        return ""
    return f"--editable {shlex.quote(f'{_ROOT}[local,training]')} "


def _image_of_source() -> str:
    if not _is_source():
        return (
            "docker build --file deploy/Dockerfile --tag stream-app .    # in a clone of stream-app"
        )
    dockerfile = shlex.quote(str(_ROOT / "deploy" / "Dockerfile"))
    return f"docker build --file {dockerfile} --tag stream-app {shlex.quote(str(_ROOT))}"
