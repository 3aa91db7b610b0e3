"""A flaw in the design of a table as a test: in the words of `machines.testing`, or as the path of the flaw."""

from collections.abc import Iterable, Mapping

from machines.outcomes import Outcome
from machines.references import parts
from machines.saga import Saga
from machines.step import Step
from machines.testing.answers import Answer, refused, replies
from machines.testing.successes import fields, put
from machines.testing.written import answer_source, literal, words_of
from machines.verify.pivots import TOO_EARLY
from machines.verify.search import Finding

_REFUSES = (Outcome.REFUSED, Outcome.REFUSED_UNDO)


def scripted_flaw(definition: Saga, finding: Finding) -> str | None:
    """Return the source of a test in the words of an author; None where they cannot say the flaw in general."""
    step = next((each for each in definition.steps if each.name == finding.step), None)
    if finding.broken != TOO_EARLY or step is None or step.starts is not None:
        return None
    answer = _refusal(definition, step)
    return _written(definition, finding, f".when({step.name}={answer_source(answer)})", words_of(answer))


def following_flaw(definition: Saga, finding: Finding) -> str:
    """Return the source of a test that fails as long as the table has the flaw."""
    return following(definition, finding, finding.sentences, ("registry=TABLES", "design=True"))


def following(definition: Saga, finding: Finding, sentences: Iterable[str], options: Iterable[str]) -> str:
    """Return the source of a test that follows a path. options: the keyword arguments of `follow`, as source."""
    lines = [
        "from machines.discovery import discover",
        "from machines.verify import follow",
        "",
        "TABLES = discover()",
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        "    broken = follow(",
        f"        TABLES.get({literal(definition.name)}, {definition.version}),",
        *(f"        {literal(each)}," for each in sentences),
        f"        {', '.join(options)},",
        "    )",
        "    assert broken is None, broken",
    ]
    return "\n".join(lines) + "\n"


def _written(definition: Saga, finding: Finding, said: str, words: set[str]) -> str:
    lines = [
        "from machines.discovery import discover",
        f"from machines.testing import {', '.join(sorted({'given', *words}))}",
        "",
        f"TABLE = discover().get({literal(definition.name)}, {definition.version})",
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        f"    run = given(TABLE){said}.run()",
        "    assert not run.stuck",
    ]
    return "\n".join(lines) + "\n"


def _refusal(definition: Saga, step: Step) -> Answer:
    """Return an answer that the table itself takes for a refusal of a step."""
    for place, meaning in step.call.means.items() if step.call else ():
        if isinstance(place, int) and meaning in _REFUSES:
            return replies(place, {}, acts=False)
        if isinstance(place, str) and isinstance(meaning, Mapping):
            for value, outcome in meaning.items():
                if outcome in _REFUSES:
                    body = fields(definition, step, step.call)
                    put(body, parts(place), value)
                    return replies(200, body, acts=False)
    return refused()
