"""A table needs only one import line: the package exports every word that an author writes."""

import machines
from machines import amounts, branching, call, check, fields, keeps, outcomes, retry, saga, step, templates
from machines.step import Kind

#: Public names of the modules of `machines` that the author of a table does not need.
INTERNAL = {
    "Call", "CallColumns", "Mixed", "Means", "Field", "FieldKind", "Kept", "Step", "Kind", "StepColumns",
    "EffectStepColumns", "WaitColumns", "Outcome", "Function", "Value", "fill", "references", "described", "keep",
    "kept_of", "constants", "check", "path_problems", "DEFERRED", "DEFINITE", "collecting", "Problem", "new_step",
    "Amount", "amount_text", "every_value", "added",
}  # fmt: skip


def own_names(module):
    for name, value in vars(module).items():
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__:
            yield name


def test_every_word_of_a_table_is_exported():
    words = {
        name
        for module in (amounts, call, check, fields, keeps, retry, saga, step, templates, branching)
        for name in own_names(module)
    }
    assert words - INTERNAL <= set(machines.__all__)
    assert {name for name in vars(outcomes) if name.isupper()} - INTERNAL <= set(machines.__all__)
    assert {kind.value for kind in Kind} <= set(machines.__all__)


def test_what_is_exported_exists_and_is_listed_once():
    assert len(set(machines.__all__)) == len(machines.__all__)
    assert all(hasattr(machines, name) for name in machines.__all__)
