"""The wheel of the client, in a virtual environment with nothing else, used against the real server."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

CLIENT = Path(__file__).parents[2] / "client"
PROGRAM = """
import asyncio, importlib.metadata, sys
from saga_client import AsyncSagas, Compensated, InvalidData, Sagas, Status

url, key = sys.argv[1:]
assert importlib.metadata.requires("saga-client") is None
assert not {"requests", "httpx", "flask", "machines", "app"} & set(sys.modules)
with Sagas(url, key) as sagas:
    saga = sagas.run("checkout", {"client_id": 4, "magasin_id": 1}, key="wheel-1", wait=30)
    assert saga.status is Status.COMPLETED, saga
    assert sagas.run("checkout", {"client_id": 4, "magasin_id": 1}, key="wheel-1", wait=30).replayed
    assert all(step.status == "completed" for step in sagas.get(saga).steps)
    try:
        sagas.run("checkout", {"client_id": 2, "magasin_id": 1}, wait=30)
    except Compensated as error:
        assert error.reason, error
    wrong = {"client_id": 4, "magasin_id": 0, "more": "x" * 1000}
    results = sagas.batch("checkout", {f"wheel-b-{number}": wrong for number in range(999)} | {"wheel-b": {
        "client_id": 4, "magasin_id": 1}})
    assert [type(each.error) for each in results[:999]] == [InvalidData] * 999
    assert sagas.wait_for_end(results[999].saga, wait=60).status is Status.COMPLETED
    assert len(sagas._transport._idle) == 1

async def twin():
    async with AsyncSagas(url, key) as sagas:
        cart = {"client_id": 4, "magasin_id": 1}
        both = await asyncio.gather(*(sagas.run("checkout", cart, wait=30) for _ in range(2)))
        return {saga.status for saga in both}

assert asyncio.run(twin()) == {Status.COMPLETED}
print("the wheel works")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """Return the Python of an environment in which only the client's wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, copied(folder))
    (wheel,) = folder.glob("saga_client-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    # --no-index: the installation fails if the wheel needs any other package.
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", wheel)
    return python


def copied(folder: Path) -> Path:
    """Return a copy of the client's source, because a build writes into it."""
    run("cp", "-r", CLIENT, folder / "source")
    return folder / "source"


def run(*command: object, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=300, **options
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_wheel_works_in_an_environment_without_our_dependencies(python, url_and_key, tmp_path):
    assert run(python, "-I", "-c", PROGRAM, *url_and_key, cwd=tmp_path) == "the wheel works\n"


def test_wheel_is_typed(python):
    found = run(python, "-I", "-c", "import saga_client; print(saga_client.__file__)").strip()
    assert (Path(found).parent / "py.typed").exists()
