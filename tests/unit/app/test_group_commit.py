"""Which thread writes which commit, and which result each thread gets, without a database."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from app.store import group_commit
from app.store.group_commit import MAX_ROWS, Commit, GroupCommit, UnknownResultError
from tests.support.waiting import waited


class FakeStatement:
    """Writes a commit alone. `blocked`: it waits until `go` is set, as a statement that is on its way."""

    def __init__(self, result: int = 1, error: BaseException | None = None, *, blocked: bool = False) -> None:
        self.result, self.error, self.runs = result, error, 0
        self.started, self.go = threading.Event(), threading.Event()
        if not blocked:
            self.go.set()

    def run(self, _values) -> int:
        self.runs += 1
        self.started.set()
        assert self.go.wait(10)
        if self.error:
            raise self.error
        return self.result


class Batches:
    """Writes several commits together: all of them, or those whose statement has the result 1."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.error: BaseException | None = None

    def __call__(self, commits: Sequence[Commit]) -> set[int]:
        self.sizes.append(len(commits))
        if self.error:
            raise self.error
        return {number for number, commit in enumerate(commits) if commit.statement.result}


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
def group(batches) -> GroupCommit:
    return GroupCommit(batches, at_once=1)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MAX_ROWS * 2) as pool:
        yield pool


def write(group: GroupCommit, threads: ThreadPoolExecutor, statement: FakeStatement) -> "Future[int]":
    return threads.submit(group.write, Commit(statement, {}))


def behind(
    group: GroupCommit, threads: ThreadPoolExecutor, first: FakeStatement, *others: FakeStatement
) -> list["Future[int]"]:
    """Write `others` while `first` is on its way, in this order. Then let `first` end."""
    found = [write(group, threads, first)]
    assert first.started.wait(10)
    for number, other in enumerate(others, 1):
        found.append(write(group, threads, other))
        waited(lambda number=number: group.waiting == number)
    first.go.set()
    return found


def lost() -> OperationalError:
    return OperationalError("UPDATE", None, Exception("server closed the connection"), connection_invalidated=True)


def test_a_commit_that_finds_none_on_its_way_goes_at_once_and_alone(group, batches):
    for result in (1, 0):
        statement = FakeStatement(result)
        assert (group.write(Commit(statement, {})), statement.runs) == (result, 1)
    assert batches.sizes == []


def test_commits_that_arrive_meanwhile_are_written_together(group, batches, threads):
    others = [FakeStatement() for _ in range(5)]
    found = behind(group, threads, FakeStatement(blocked=True), *others)
    assert [each.result(10) for each in found] == [1] * 6
    assert batches.sizes == [5]
    assert [each.runs for each in others] == [0] * 5


def test_a_single_commit_that_waited_is_written_alone(group, batches, threads):
    other = FakeStatement()
    found = behind(group, threads, FakeStatement(blocked=True), other)
    assert ([each.result(10) for each in found], other.runs, batches.sizes) == ([1, 1], 1, [])


def test_commits_wait_only_when_at_once_statements_are_on_their_way(batches, threads):
    group, first, second = GroupCommit(batches, at_once=2), FakeStatement(blocked=True), FakeStatement(blocked=True)
    one = write(group, threads, first)
    assert first.started.wait(10)
    two = write(group, threads, second)
    assert second.started.wait(10), "a second statement goes at once"
    three = write(group, threads, FakeStatement())
    waited(lambda: group.waiting == 1)
    for statement in (first, second):
        statement.go.set()
    assert [each.result(10) for each in (one, two, three)] == [1, 1, 1]


def test_a_commit_that_the_batch_left_out_is_written_alone(group, batches, threads):
    fenced = FakeStatement(result=0)
    found = behind(group, threads, FakeStatement(blocked=True), FakeStatement(), fenced, FakeStatement())
    assert [each.result(10) for each in found] == [1, 1, 0, 1]
    assert (fenced.runs, batches.sizes) == (1, [3])


def test_after_a_batch_that_failed_each_thread_gets_the_error_of_its_own_commit(group, batches, threads):
    batches.error = OperationalError("UPDATE", None, Exception("a value"))
    refused, good = FakeStatement(error=ValueError("mine")), [FakeStatement(), FakeStatement()]
    first, one, two, three = behind(group, threads, FakeStatement(blocked=True), good[0], refused, good[1])
    assert (first.result(10), one.result(10), three.result(10)) == (1, 1, 1)
    with pytest.raises(ValueError, match="mine"):
        two.result(10)
    assert [each.runs for each in good] == [1, 1]


def test_after_a_lost_connection_no_commit_is_written_again(group, batches, threads):
    batches.error = lost()
    others = [FakeStatement(), FakeStatement()]
    first, *found = behind(group, threads, FakeStatement(blocked=True), *others)
    assert first.result(10) == 1
    errors = [each.exception(10) for each in found]
    assert [type(each) for each in errors] == [UnknownResultError] * 2
    assert errors[0] is not errors[1], "each thread raises an error of its own"
    assert [each.__cause__ for each in errors] == [batches.error] * 2
    assert [each.runs for each in others] == [0, 0]


@pytest.mark.parametrize("size", [1, 3])
def test_a_leader_that_dies_passes_the_lead_on(group, batches, threads, size):
    """SystemExit stands for the end of a thread."""
    batches.error = SystemExit()
    others = [FakeStatement(error=SystemExit()) for _ in range(size)]
    _, leader, *followers = behind(group, threads, FakeStatement(blocked=True), *others)
    assert isinstance(leader.exception(10), SystemExit)
    assert [type(each.exception(10)) for each in followers] == [UnknownResultError] * (size - 1)
    assert group.write(Commit(FakeStatement(), {})) == 1
    batches.error = None
    found = behind(group, threads, FakeStatement(blocked=True), FakeStatement(), FakeStatement())
    assert [each.result(10) for each in found] == [1, 1, 1]


def test_a_statement_that_fails_alone_lets_the_next_commit_go(group, threads):
    failed, good = behind(group, threads, FakeStatement(error=lost(), blocked=True), FakeStatement())
    assert isinstance(failed.exception(10), OperationalError)
    assert good.result(10) == 1


def test_a_thread_that_ends_while_it_waits_leaves_the_queue(group, batches, threads, monkeypatch):
    first = FakeStatement(blocked=True)
    one = write(group, threads, first)
    assert first.started.wait(10)
    with monkeypatch.context() as patch:
        patch.setattr("app.store.group_commit._Waiting.wait", lambda _waiting: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            group.write(Commit(FakeStatement(), {}))
    assert group.waiting == 0
    first.go.set()
    assert one.result(10) == 1
    assert group.write(Commit(FakeStatement(), {})) == 1


def test_a_thread_that_ends_when_it_is_to_lead_passes_the_lead_on(group, threads, monkeypatch):
    first, wait = FakeStatement(blocked=True), group_commit._Waiting.wait

    def woken_and_ended(waiting):
        wait(waiting)
        raise SystemExit

    one = write(group, threads, first)
    assert first.started.wait(10)
    with monkeypatch.context() as patch:
        patch.setattr("app.store.group_commit._Waiting.wait", woken_and_ended)
        two = write(group, threads, FakeStatement())
        waited(lambda: group.waiting == 1)
        first.go.set()
        assert isinstance(two.exception(10), SystemExit)
    assert one.result(10) == 1
    last = write(group, threads, FakeStatement())
    assert last.result(10) == 1


def test_a_batch_has_at_most_max_rows(group, batches, threads):
    found = behind(group, threads, FakeStatement(blocked=True), *(FakeStatement() for _ in range(MAX_ROWS + 3)))
    assert [each.result(10) for each in found] == [1] * (MAX_ROWS + 4)
    assert batches.sizes == [MAX_ROWS, 3]
