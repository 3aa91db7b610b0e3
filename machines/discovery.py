"""Finds the tables: the samples of this package, and those that the setting SAGAS names.

SAGAS is a list, separated by commas, of `samples`, of folders with Python files, and of modules or packages. A file of
a folder becomes the module `sagas.<name of the file>`, so that one file can import from another.
"""

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import machines
from machines.check import TableError
from machines.registry import BadTablesError, Registry
from machines.saga import Saga

#: Word in SAGAS for the sample tables, which are in this package.
SAMPLES = "samples"
#: Package of the modules that are made from the files of the folders in SAGAS.
_PACKAGE = "sagas"


def discover(sources: str | None = None) -> Registry:
    """Import every file that `sources` names, and return the registry of their sagas.

    sources: a list as in SAGAS; None: the value of SAGAS in the environment. Raise BadTablesError for a table that is
    illegal or cannot be imported, and for a source without a table.
    """
    named = os.environ.get("SAGAS", SAMPLES) if sources is None else sources
    found: dict[int, Saga] = {}
    for source in dict.fromkeys(each.strip() for each in named.split(",")):
        if not source:
            continue
        tables = {
            id(member): member
            for module in _modules(source)
            for member in vars(module).values()
            if isinstance(member, Saga)
        }
        if not tables:
            raise BadTablesError(f"SAGAS: {source} holds no saga; name a folder or a module that defines one")
        found |= tables
    if not found:
        raise BadTablesError(f"SAGAS is empty; name folders or modules with tables, or {SAMPLES}")
    return Registry(list(found.values()))


def _modules(source: str) -> Iterator[ModuleType]:
    if source == SAMPLES:
        return _of_package(machines.__name__, machines.__path__)
    if "/" in source or os.sep in source or source.startswith("."):
        return _of_folder(Path(source))
    if Path(source).is_dir():
        raise BadTablesError(f"SAGAS: {source} is a folder; write ./{source}")
    return _of_module(source)


def _of_module(name: str) -> Iterator[ModuleType]:
    module = _imported(name)
    yield module
    if hasattr(module, "__path__"):
        yield from _of_package(name, module.__path__)


def _of_folder(folder: Path) -> Iterator[ModuleType]:
    if not folder.is_dir():
        raise BadTablesError(f"SAGAS: there is no folder {folder}; name one, or a module such as shop.sagas")
    package = sys.modules.get(_PACKAGE)
    if package is None:
        package = sys.modules[_PACKAGE] = ModuleType(_PACKAGE)
        package.__path__ = []
    place = str(folder.resolve())
    for name in sorted(each.name for each in pkgutil.iter_modules([place])):
        for other in package.__path__:
            if other != place and (Path(other) / f"{name}.py").exists():
                raise BadTablesError(f"SAGAS: {other} and {folder} both have {name}.py; rename one of them")
    if place not in package.__path__:
        package.__path__.append(place)
    return _of_package(_PACKAGE, [place])


def _of_package(package: str, path: Iterable[str]) -> Iterator[ModuleType]:
    """Yield the modules of a package, except tests."""
    for module in pkgutil.iter_modules(path):
        if not module.name.startswith("test_") and module.name != "conftest":
            yield _imported(f"{package}.{module.name}")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except TableError as error:
        raise BadTablesError(str(error)) from error
    except Exception as error:
        raise BadTablesError(_place_and_reason(name, error)) from error


def _place_and_reason(name: str, error: Exception) -> str:
    """Return in one line the file and the line number of an error, its type and its message."""
    if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
        return f"SAGAS: there is no module {name}; check PYTHONPATH, or name a folder such as ./sagas"
    short = name.rpartition(".")[2]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(f"{short}.py")]
    number = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    where = f"{name.replace('.', '/')}.py" + (f", line {number}" if number else "")
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{where}: {type(error).__name__}: {' '.join(reason.split())}"
