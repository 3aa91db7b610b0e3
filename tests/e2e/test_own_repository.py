"""The example repository of docs/examples: what `saga new` writes, its CI, and its image where Docker is installed."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "own-repository"
CI = EXAMPLE / ".github" / "workflows" / "sagas.yml"
#: Files of the example that `saga new` does not write.
BY_HAND = {"README.md", ".github/workflows/sagas.yml"}
MADE = [
    "app",
    "machines",
    "diagrams",
    "migrations",
    "pyproject.toml",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "wsgi.py",
]
OPEN = {"API_AUTH": "off", "SECRET_KEY": "not a secret, for it is in the tests"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """Install the wheel, and return an environment whose PATH has the command `saga`, as after `pip install`."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in MADE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    path = os.pathsep.join([str(target / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "PYTHONPATH": str(target), "HOME": str(target)}


@pytest.fixture
def repository(tmp_path) -> Path:
    """Return a Git repository with a copy of the example on its branch `main`, and with a clone as its origin."""
    folder, origin = tmp_path / "gifts", tmp_path / "origin"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=ada", "-c", "user.email=ada@shop.example", "commit", "-q", "-m", "gifts"],
        ["git", "clone", "-q", "--bare", ".", str(origin)],
        ["git", "remote", "add", "origin", str(origin)],
        ["git", "fetch", "-q", "origin"],
    ):
        subprocess.run(command, cwd=folder, check=True, timeout=60)
    return folder


def ran(command: str, folder: Path, environment: dict[str, str]):
    return subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_example_is_what_saga_new_writes(installed, tmp_path):
    done = ran("saga new gift --folder made", tmp_path, installed)
    assert done.returncode == 0, done.stderr
    made = {str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*") if path.is_file()}
    kept = subprocess.run(
        ["git", "ls-files", "."], cwd=EXAMPLE, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(kept) == made | BY_HAND
    same, _, _ = filecmp.cmpfiles(tmp_path / "made", EXAMPLE, made - {"Dockerfile"}, shallow=False)
    assert set(same) == made - {"Dockerfile"}
    first, *rest = (tmp_path / "made" / "Dockerfile").read_text().splitlines()
    assert [first.partition(":")[0], *rest] == ["FROM saga-orchestrator", "COPY sagas /sagas", 'RUN ["saga", "check"]']


def test_each_step_of_the_examples_ci_passes(installed, repository):
    steps = {
        step["name"]: step["run"] for step in yaml.safe_load(CI.read_text())["jobs"]["sagas"]["steps"] if "run" in step
    }
    assert list(steps) == ["install", "check", "test", "compare", "build"]
    # The fixture `installed` has done the first step of the workflow. The last step, the image, follows below.
    for name in ("check", "test", "compare"):
        done = ran(steps[name], repository, installed)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_examples_ci_refuses_a_table_that_was_edited_in_place(installed, repository):
    table = repository / "sagas" / "gift.py"
    table.write_text(table.read_text().replace('"/payments"', '"/charges"'))
    steps = {step.get("name"): step.get("run") for step in yaml.safe_load(CI.read_text())["jobs"]["sagas"]["steps"]}
    done = ran(steps["compare"], repository, installed)
    assert done.returncode == 10
    assert "step 'pay': call was POST shop/payments and is POST shop/charges" in done.stdout


def test_generated_saga_runs_to_its_end_with_the_generated_participant(installed, tmp_path):
    assert ran("saga new gift --folder .", tmp_path, installed).returncode == 0
    shop, port = free_port(), free_port()
    settings = {"SAGAS": "./sagas", "PARTICIPANT_SHOP_URL": f"http://127.0.0.1:{shop}", "PORT": str(port)}
    environment = installed | settings | OPEN
    participant = subprocess.Popen(
        [sys.executable, "participant.py"], cwd=tmp_path, env=installed | {"PORT": str(shop)}
    )
    serving = None
    try:
        migrated = ran("saga migrate", tmp_path, environment)
        assert migrated.returncode == 0, migrated.stderr
        serving = subprocess.Popen(["bash", "-c", "exec saga serve"], cwd=tmp_path, env=environment)
        eventually(lambda: answers(f"http://127.0.0.1:{port}/ready"), "the service is ready", 120)
        assert started(f"http://127.0.0.1:{port}")["state"] == "CONFIRMED"
    finally:
        for process in filter(None, (serving, participant)):
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def started(url: str) -> dict[str, object]:
    headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
    request = urllib.request.Request(f"{url}/api/v1/sagas/gift", json.dumps({"customer": "Ada"}).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


# The image.


def docker(*arguments: str, timeout: float = 60, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def engine():
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no Docker Engine")


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory) -> str:
    """Build the image of the orchestrator, and return the name of the example's image, which is built from it."""
    docker("build", "-q", "--network=host", "-t", "saga-orchestrator:latest", str(ROOT), timeout=1800)
    docker("build", "-q", "--network=host", "-t", "gifts-of-the-test", str(EXAMPLE), timeout=300)
    return "gifts-of-the-test"


@pytest.fixture
def containers():
    """Return a function that starts a container on the network of this machine. Remove the containers at the end."""
    ids: list[str] = []

    def start(image: str, *command: str, **environment: object) -> str:
        settings = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        ids.append(docker("run", "-d", "--network=host", *settings, image, *command))
        return ids[-1]

    yield start
    for each in ids:
        docker("rm", "-f", "-v", each, check=False)


def test_image_of_the_example_runs_its_saga_on_postgresql(image, containers, tmp_path):
    shop, port, database = free_port(), free_port(), free_port()
    containers(
        "postgres:17", "postgres", "-c", "listen_addresses=127.0.0.1", "-c", f"port={database}",
        POSTGRES_USER="saga", POSTGRES_PASSWORD="secret", POSTGRES_DB="saga",
    )  # fmt: skip
    settings = OPEN | {
        "DATABASE_URL": f"postgresql://saga:secret@127.0.0.1:{database}/saga",
        "PARTICIPANT_SHOP_URL": f"http://127.0.0.1:{shop}", "PORT": port, "HOST": "127.0.0.1",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
    run = ["run", "--rm", "--network=host", "--read-only", "--tmpfs", "/tmp", *options, image]
    eventually(lambda: migrated(run), "the database is migrated", 120)
    participant = subprocess.Popen([sys.executable, str(EXAMPLE / "participant.py")], env={"PORT": str(shop)})
    try:
        containers(image, **settings)
        eventually(lambda: answers(f"http://127.0.0.1:{port}/ready"), "the service is ready", 120)
        assert started(f"http://127.0.0.1:{port}")["state"] == "CONFIRMED"
        assert "gift v1" in docker(*run, "saga", "check")
        assert "CONFIRMED" in docker(*run, "saga", "list")
    finally:
        participant.terminate()
        participant.wait(60)


def migrated(run: list[str]) -> bool:
    return subprocess.run(["docker", *run, "saga", "migrate"], capture_output=True, check=False).returncode == 0


def test_image_itself_runs_the_samples(image):
    assert "checkout v1" in docker("run", "--rm", "saga-orchestrator:latest", "saga", "check")
