import pytest

from tests.unit.machines.tables import hold, look, saga, sell, tell

BAD_NAMES = ["1st", "a-b", "a b", "_a", "a.b", "é", "a\n", "a" * 65]


@pytest.mark.parametrize("name", ["", *BAD_NAMES])
def test_a_saga_with_a_bad_name_is_refused(refusal, name):
    text = refusal(look(), name=name)
    assert text == f"{name} v1: {name!r} is not a name; use letters, digits and underscores"


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_step_with_a_bad_name_is_refused(refusal, name):
    text = refusal(look(name, refused="NO_LOOK"))
    assert text == f"sale v1: step {name}: {name!r} is not a name; use letters, digits and underscores"


@pytest.mark.parametrize("column", ["done", "refused", "doing", "undoing"])
def test_a_state_with_a_bad_name_is_refused_and_its_step_named(refusal, column):
    text = refusal(hold(**({"done": "HELD"} | {column: "NO-NAME"})), sell())
    assert text == "sale v1: step hold: 'NO-NAME' is not a name; use letters, digits and underscores"


@pytest.mark.parametrize("column", ["initial", "completed", "compensated"])
@pytest.mark.parametrize("name", ["", "NO-NAME"])
def test_end_or_initial_state_with_a_bad_name_is_refused(refusal, column, name):
    step = look(done=name) if column == "completed" else look()
    text = refusal(step, **{column: name})
    assert text == f"sale v1: {name!r} is not a name; use letters, digits and underscores"


@pytest.mark.parametrize("name", ["a", "A1", "a_b", "a" * 64])
def test_name_may_have_letters_digits_and_underscores(name):
    assert saga(look(name, refused="NO_LOOK"), name=name).name == name


def test_two_steps_of_one_name_are_refused(refusal):
    text = refusal(look("pay", done="LOOKED"), sell("pay", refused="NO_SALE"))
    assert text == "sale v1: step pay: step 'pay' is named twice; give each step a name of its own"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"done": "TWICE"}, {"done": "TWICE"}),
        ({"refused": "TWICE"}, {"refused": "TWICE"}),
        ({"doing": "TWICE"}, {"doing": "TWICE"}),
        ({"undoing": "TWICE"}, {"undoing": "TWICE"}),
        ({"refused": "TWICE"}, {"undoing": "TWICE"}),
        ({"undoing": "TWICE"}, {"doing": "TWICE"}),
        ({"done": "TWICE"}, {"refused": "TWICE"}),
    ],
)
def test_two_steps_that_share_a_state_are_refused_and_the_later_one_named(refusal, first, second):
    text = refusal(hold("first", **({"done": "ONE"} | first)), hold("second", **({"done": "TWO"} | second)), tell())
    assert text == "sale v1: step second: state 'TWICE' is named twice; give each state one meaning"


@pytest.mark.parametrize("column", ["refused", "doing", "undoing"])
@pytest.mark.parametrize("taken", ["STARTED", "DONE", "CANCELLED"])
def test_step_with_the_name_of_an_end_or_initial_state_is_refused(refusal, column, taken):
    text = refusal(hold(**{column: taken}))
    assert text == f"sale v1: step hold: state {taken!r} is named twice; give each state one meaning"


@pytest.mark.parametrize("taken", ["STARTED", "CANCELLED"])
def test_step_cannot_be_done_in_the_initial_or_compensated_state(refusal, taken):
    text = refusal(look(done=taken), sell())
    assert text == f"sale v1: step look: state {taken!r} is named twice; give each state one meaning"


def test_one_step_that_uses_a_state_for_two_things_is_refused(refusal):
    text = refusal(hold(done="HELD", refused="HELD"), sell())
    assert text == "sale v1: step hold: state 'HELD' is named twice; give each state one meaning"


@pytest.mark.parametrize("columns", [{"initial": "CANCELLED"}, {"completed": "CANCELLED"}, {"initial": "DONE"}])
def test_initial_state_and_ends_must_differ(refusal, columns):
    (state,) = columns.values()
    text = refusal(look(done=columns.get("completed", "DONE")), **columns)
    assert text == f"sale v1: state {state!r} is named twice; give each state one meaning"


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_below_1_is_refused(refusal, version):
    text = refusal(look(), version=version)
    assert text.startswith(f"sale v{version}: version={version} is out of bounds; give a whole number from 1 to ")
