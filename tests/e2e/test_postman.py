"""newman runs the Postman collections against real processes, and the collections cover the API."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.postman import FILES, text_of
from tests.support.servers import serve_participants

pytestmark = pytest.mark.programs

HERE = Path(__file__).parents[2] / "docs" / "postman"
NEWMAN = HERE / "node_modules" / ".bin" / "newman"


@pytest.fixture(scope="module")
def participants_server(tmp_path_factory):
    """Start participants for these tests alone, because other tests leave unfinished sagas."""
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture
def newman():
    """Return the path of newman, and install newman when it is missing. Under a lock, only one process installs it."""
    if shutil.which("npm") is None:
        pytest.fail("the Postman collections need Node.js: npm is not on the PATH", pytrace=False)
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not NEWMAN.exists():
            installed = run("npm", "ci", "--no-audit", "--no-fund", cwd=HERE)
            if installed.returncode != 0:
                pytest.fail(f"npm cannot install newman: {installed.stderr[-2000:]}", pytrace=False)
    return NEWMAN


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_both_collections_are_green(newman, orchestrator, participants):
    server = orchestrator()
    for path in FILES:
        done = run(newman, "run", path, "--env-var", f"baseUrl={server.url}", "--color", "off", "--timeout", "60000")
        assert done.returncode == 0, done.stdout
    participants.assert_balanced()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_committed_collection_is_up_to_date(path):
    assert path.read_text() == text_of(path), "run `python -m docs.postman`"


def test_folder_contains_no_other_collection():
    assert set(HERE.glob("*.postman_collection.json")) == set(FILES)
