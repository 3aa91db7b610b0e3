"""`saga client-types`: the data of saga types as Python types, for programs that use the client in client/."""

import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

from machines.fields import LARGEST_INTEGER, Field, FieldKind
from machines.saga import Saga

#: Field kind → type of its values. The client converts types such as Decimal to JSON.
_TYPES: Mapping[FieldKind, str] = {
    FieldKind.INTEGER: "int",
    FieldKind.AMOUNT: "float | Decimal",
    FieldKind.NUMBER: "float | Decimal",
    FieldKind.DECIMAL: "str | Decimal",
    FieldKind.TEXT: "str",
    FieldKind.UUID: "str | UUID",
    FieldKind.BOOLEAN: "bool",
    FieldKind.DATE: "str | date",
    FieldKind.DATETIME: "str | datetime",
    FieldKind.ANYTHING: "object",
}
#: Built-in types that the generated annotations use. A member of a class with such a name would hide the type.
_USED = {"bool", "float", "int", "list", "object", "str"}
#: Name in a generated annotation → its import line.
_IMPORTS = {
    "date": "from datetime import date", "datetime": "from datetime import datetime",
    "Decimal": "from decimal import Decimal", "Literal": "from typing import Literal",
    "NotRequired": "from typing import NotRequired", "TypedDict": "from typing import TypedDict",
    "UUID": "from uuid import UUID",
}  # fmt: skip


def client_types(sagas: list[Saga]) -> str:
    """Return a Python module with a TypedDict for the data of each saga, and a SagaType with its name."""
    classes = _Classes()
    constants = []
    for saga in sagas:
        data = classes.add(f"{_camel(saga.name)}Data", saga.data, f"The data of {saga.name}, version {saga.version}.")
        constants.append(f'{_constant(saga.name)}: SagaType[{data}] = SagaType("{saga.name}")')
    body = "\n\n\n".join(classes.written)
    used = [line for name, line in _IMPORTS.items() if re.search(rf"\b{name}\b", body)]
    header = (
        f'"""Made by `saga client-types {" ".join(saga.name for saga in sagas)}`. Make it again, do not edit it."""'
    )
    imports = "\n".join([*_merged(used), "", "from saga_client import SagaType"])
    return f"{header}\n\n{imports}\n\n\n{body}\n\n\n" + "\n".join(constants) + "\n"


class _Classes:
    """The TypedDicts of a module. An inner TypedDict comes before the TypedDict that uses it."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._names: set[str] = set()

    def add(self, wanted: str, fields: Mapping[str, Field], text: str) -> str:
        """Write the TypedDict of an object. Return its name: `wanted`, with a number if that name is taken."""
        name = self._free(wanted)
        members = {field: (self._presence(name, field, each), _note(each)) for field, each in fields.items()}
        if all(map(_may_be_member, members)):
            lines = [f"    {field}: {of}{note}" for field, (of, note) in members.items()]
            self.written.append("\n".join([f"class {name}(TypedDict):", f'    """{text}"""', "", *lines]).rstrip())
        else:  # the members of a class cannot have these names
            lines = [f"    {_quoted(field)}: {of},{note}" for field, (of, note) in members.items()]
            self.written.append("\n".join([f"# {text}", f'{name} = TypedDict("{name}", {{', *lines, "})"]))
        return name

    def _free(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._names:
            name, number = f"{wanted}{number}", number + 1
        self._names.add(name)
        return name

    def _presence(self, owner: str, name: str, field: Field) -> str:
        of = self._type(owner, name, field)
        return of if field.required else f"NotRequired[{of}]"

    def _type(self, owner: str, name: str, field: Field) -> str:
        return f"{self._bare(owner, name, field)} | None" if field.nullable else self._bare(owner, name, field)

    def _bare(self, owner: str, name: str, field: Field) -> str:
        inner = f"{owner}{_camel(name)}"
        match field.kind:
            case FieldKind.CHOICE:
                return f"Literal[{', '.join(map(_quoted, field.choices))}]"
            case FieldKind.OBJECT:
                return self.add(inner, field.items or {}, f"`{name}` of {owner}.")
            case FieldKind.LIST if field.item:
                return f"list[{self._type(owner, name, field.item)}]"
            case FieldKind.LIST:
                return f"list[{self.add(inner, field.items or {}, f'An item of `{name}` of {owner}.')}]"
        return _TYPES[field.kind]


def _may_be_member(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in _USED | _IMPORTS.keys()


def _note(field: Field) -> str:
    """Return the bounds of a field, and its default, as a comment."""
    notes = list(_bounds(field))
    if field.default is not None:
        notes.append(f"default: {_quoted(field.default)}")
    if field.secret:
        notes.append("personal" if field.personal else "secret")
    return f"  # {'; '.join(notes)}" if notes else ""


def _bounds(field: Field) -> Iterator[str]:
    units = {FieldKind.TEXT: " characters", FieldKind.LIST: " items", FieldKind.INTEGER: "", FieldKind.AMOUNT: ""}
    if field.kind is FieldKind.DECIMAL:
        yield f"{field.low} to {field.high}, with at most {field.places} decimal places"
    elif field.kind is FieldKind.INTEGER and field.high == LARGEST_INTEGER:
        yield f"{field.low} or more"
    elif field.kind in units:
        yield f"{field.low} to {field.high}{units[field.kind]}"


def _quoted(value: Any) -> str:
    return repr(value) if not isinstance(value, str) or '"' in value or "\\" in value else f'"{value}"'


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", name))


def _constant(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "_", name).upper()


def _merged(imports: list[str]) -> list[str]:
    """Return one line for each module of these imports."""
    found: dict[str, list[str]] = {}
    for line in imports:
        module, _, name = line.removeprefix("from ").partition(" import ")
        found.setdefault(module, []).append(name)
    return [f"from {module} import {', '.join(names)}" for module, names in found.items()]
