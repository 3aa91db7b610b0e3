"""The button that kills the orchestrator, which only the demo has."""

import subprocess
from dataclasses import replace

import pytest


@pytest.fixture
def killed_by(shop, tmp_path):
    """Return a function that presses the button of a shop whose file names this process group."""

    def press(text, **headers):
        (tmp_path / "group").write_text(text)
        parts = shop.application.extensions["shop"]
        settings = replace(parts.settings, group_file=tmp_path / "group")
        shop.application.extensions["shop"] = replace(parts, settings=settings)
        return shop.post("/kill", headers=headers)

    return press


def test_the_button_kills_the_process_group_and_the_page_stays(killed_by):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert killed_by(f"{process.pid}\n").status_code == 204
    assert process.wait(10) == -9


@pytest.mark.parametrize("group", ["", "0", "1", "-1", "none", "99999999"])
def test_a_group_that_does_not_run_is_not_killed(killed_by, group):
    assert killed_by(group).status_code == 409


def test_a_page_of_another_site_kills_nothing(killed_by):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert killed_by(str(process.pid), **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert process.poll() is None
    process.kill()
    process.wait(10)


def test_a_shop_without_the_file_has_no_button(shop):
    assert shop.post("/kill").status_code == 404
    assert "Kill the orchestrator</button>" not in shop.get("/").text
