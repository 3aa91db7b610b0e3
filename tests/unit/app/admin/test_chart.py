from app.admin.chart import chart
from app.store.statistics import Minute


def minute(number, status, sagas, definition="checkout"):
    return Minute(number=number, definition=definition, status=status, sagas=sagas)


def test_highest_bar_fills_the_chart_and_its_parts_are_stacked():
    drawn = chart([minute(0, "stuck", 1), minute(0, "completed", 3), minute(59, "completed", 1)])
    assert dict(drawn.layers) == {
        "completed": "M0 25h0.75v75h-0.75zM59 75h0.75v25h-0.75z",
        "stuck": "M0 0h0.75v25h-0.75z",
    }
    assert (drawn.most, drawn.total) == (4, 5)
    assert drawn.description == "5 sagas started in the last hour: 4 completed, 1 stuck."


def test_sagas_of_all_definitions_are_added_up():
    assert chart([minute(3, "running", 1), minute(3, "running", 2, "commande")]).most == 3


def test_empty_hour_has_a_description():
    assert (chart([]).layers, chart([]).description) == ([], "No sagas started in the last hour.")
