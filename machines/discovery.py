"""Finds the tables: the samples of this package, and those that the setting SAGAS names.

SAGAS is a list, separated by commas, of `samples`, of folders with Python files, and of modules or packages. A file of
a folder becomes the module `sagas.<name of the file>`, so that one file can import from another.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import machines
from machines.check import TableError
from machines.check_values import value_problems
from machines.registry import BadTablesError, Registry
from machines.saga import Saga, collecting
from machines.words import Misused

#: Word in SAGAS for the sample tables, which are in this package.
SAMPLES = "samples"
#: Package for the files of all folders in SAGAS: the file trip.py becomes the module sagas.trip.
_PACKAGE = "sagas"


def discover(sources: str | None = None) -> Registry:
    """Import every file that `sources` names, and return the registry of their sagas.

    sources: a list as in SAGAS; None: the value of SAGAS in the environment. Raise BadTablesError for a table that is
    illegal or cannot be imported, and for a source without a table.
    """
    found: dict[int, Saga] = {}
    for source in _sources(sources):
        tables = {id(saga): saga for name in _modules(source) for saga in _sagas(_imported(name))}
        if not tables:
            raise BadTablesError(f"SAGAS: {source} holds no saga; name a folder or a module that defines one")
        found |= tables
    if not found:
        raise BadTablesError(f"SAGAS is empty; name folders or modules with tables, or {SAMPLES}")
    return Registry(list(found.values()))


def tables_at(place: Path) -> list[Saga]:
    """Return the tables of a file or a folder. Import them apart from all other modules.

    So two versions of the same file can be loaded and compared.

    Raise BadTablesError as `discover` does.
    """
    names = {name for name in sys.modules if name.split(".")[0] == _PACKAGE}
    others = {name: sys.modules.pop(name) for name in names}
    try:
        modules = _of_folder(place.parent if place.is_file() else place)
        wanted = [name for name in modules if place.is_dir() or name == f"{_PACKAGE}.{place.stem}"]
        found = {id(saga): saga for name in wanted for saga in _sagas(_imported(name))}
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        sys.modules.update(others)
    if not found:
        raise BadTablesError(f"{place} holds no saga")
    return list(Registry(list(found.values())))


def problems(sources: str | None = None) -> list[str]:
    """Return every problem of every table that `sources` names, each in one line. sources: see `discover`."""
    found, files, names, before = list[str](), list[str](), list[str](), set(sys.modules)
    with collecting(found):
        for source in _sources(sources):
            for name in _listed(source, files):
                try:
                    _imported(name)
                    names.append(name)
                except BadTablesError as error:
                    files += error.problems
    if found or files:
        found += [*files, *_of_several(names, whole=not files)]
        _forget(set(sys.modules) - before)
    else:  # each file is legal alone, but two sagas of different files may not fit together
        try:
            discover(sources)
        except BadTablesError as error:
            found += error.problems
    return list(dict.fromkeys(found))  # two files may import a third one that has the problem


def _of_several(modules: Iterable[str], *, whole: bool) -> Sequence[str]:
    """Return the problems of branches and of sagas that do not fit together, although some tables are illegal.

    A table with a value of a wrong type cannot be compared. whole: False when there may be sagas in other modules.
    """
    members = [member for name in modules for member in vars(sys.modules[name]).values()]
    tables = {id(member): member for member in members if isinstance(member, Saga)}.values()
    legal = [table for table in tables if not any(value_problems(table))]
    unread = {table.name for table in tables if table not in legal}
    unread |= {str(member.named.get("name")) for member in members if isinstance(member, Misused)}
    try:
        Registry(legal, unread if whole else _EveryName())
    except BadTablesError as error:
        return error.problems
    return ()


class _EveryName:
    """The names of the sagas in a file that could not be read."""

    def __contains__(self, name: object) -> bool:
        return True


def _listed(source: str, found: list[str]) -> list[str]:
    """Return the names of the modules of a source. Add to `found` why they cannot be listed."""
    try:
        return list(_modules(source))
    except BadTablesError as error:
        found += error.problems
        return []


def _forget(names: Iterable[str]) -> None:
    """Remove the modules that hold a table, so that a later import checks their tables again."""
    for name in names:
        if _sagas(sys.modules[name]):
            del sys.modules[name]


def _sources(sources: str | None) -> list[str]:
    named = os.environ.get("SAGAS", SAMPLES) if sources is None else sources
    return list(dict.fromkeys(source for each in named.split(",") if (source := each.strip())))


def _sagas(module: ModuleType) -> list[Saga]:
    return [member for member in getattr(module, "__dict__", {}).values() if isinstance(member, Saga)]


def _modules(source: str) -> Iterator[str]:
    """Yield the names of the modules of a source."""
    if source == SAMPLES:
        return _of_package(machines.__name__, machines.__path__)
    if "/" in source or os.sep in source or source.startswith("."):
        return _of_folder(Path(source))
    if Path(source).is_dir():
        raise BadTablesError(f"SAGAS: {source} is a folder; write ./{source}")
    return _of_module(source)


def _of_module(name: str) -> Iterator[str]:
    yield name
    module = _imported(name)
    if hasattr(module, "__path__"):
        yield from _of_package(name, module.__path__)


def _of_folder(folder: Path) -> Iterator[str]:
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


def _of_package(package: str, path: Iterable[str]) -> Iterator[str]:
    """Yield the names of the modules of a package, except tests."""
    for module in pkgutil.iter_modules(path):
        if not module.name.startswith("test_") and module.name != "conftest":
            yield f"{package}.{module.name}"


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except TableError as error:
        raise BadTablesError(str(error), error.problems) from error
    except (Exception, SystemExit) as error:
        raise BadTablesError(_place_and_reason(name, error)) from error


def _place_and_reason(name: str, error: BaseException) -> str:
    """Return in one line the file and the line number of an error, its type and its message."""
    if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
        return f"SAGAS: there is no module {name}; check PYTHONPATH, or name a folder such as ./sagas"
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{_place(name, error)}: {type(error).__name__}: {' '.join(reason.split())}"


def _place(name: str, error: BaseException) -> str:
    """Return the file and the line number of an error: the last line of the author's own files in the traceback.

    Files of other folders are libraries. The author's line that called the library helps the author more.
    """
    folders = _folders(name)
    frames = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    own = [frame for frame in frames if any(Path(frame[0]).is_relative_to(folder) for folder in folders)]
    if not own:
        return f"the module {name}"
    file, number = own[-1]
    shown = os.path.relpath(file)
    return f"{file if shown.startswith('..') else shown}, line {number}"


def _folders(name: str) -> list[str]:
    """Return the folders with the author's files. name: a module in one of these folders."""
    top = name.partition(".")[0]
    try:
        spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
    except ValueError:
        spec = None
    if spec is None:
        return list(getattr(sys.modules.get(top), "__path__", []))
    return list(spec.submodule_search_locations or [spec.origin or ""])
