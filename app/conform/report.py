"""Writes the findings as text, as JSON and as JUnit XML. Secrets are masked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from app.conform.lines import LINES, Exchange, Finding, Verdict, conclusion
from app.conform.subject import Subject
from app.logs import HIDDEN, Secrets
from app.values import written
from machines.lines import one_line, shortened
from machines.participant_kinds import ParticipantKind

_LONGEST_BODY = 400  # characters of a body that are shown
_SECRETS = Secrets(())


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings for one step of one participant."""

    subject: Subject
    kind: ParticipantKind
    findings: Sequence[Finding]
    #: The sagas of which something may be left at the participant.
    left: Sequence[str]

    @property
    def name(self) -> str:
        return f"{self.subject.definition.name}.{self.subject.step.name}"

    @property
    def failed(self) -> bool:
        return any(finding.failed for finding in self.findings)

    def title(self) -> str:
        return f"{self.name} at {self.url}, as a participant of the kind {self.kind}"

    def text(self, finding: Finding) -> Iterator[str]:
        """Yield the lines of text of one finding."""
        width = max(map(len, LINES))
        note = "" if finding.required or finding.verdict is not Verdict.NOT_KEPT else f" (kind {self.kind} need not)"
        yield f"{finding.verdict:9}  {finding.line.name:{width}}  {finding.line.says}{note}"
        if finding.why:
            yield f"{'':{width + 13}}{self._hidden(one_line(finding.why))}"
        for exchange in finding.exchanges:
            yield from (f"{'':{width + 13}}{line}" for line in self._shown(exchange))

    def end(self) -> Iterator[str]:
        """Yield the lines of text after the findings."""
        yield ""
        yield self.summary()
        if self.left:
            yield f"Something may be left of {len(self.left)} sagas: {', '.join(self.left)}"

    def summary(self) -> str:
        """Return the numbers of the verdicts, and what the findings mean for the table."""
        many = {verdict: sum(each.verdict is verdict for each in self.findings) for verdict in Verdict}
        numbers = ", ".join(f"{number} {verdict}" for verdict, number in many.items())
        return f"{numbers}. {self._conclusion[1]}"

    @property
    def _conclusion(self) -> tuple[ParticipantKind | None, str]:
        return conclusion(self.findings, has_undo=self.subject.undo is not None)

    def document(self) -> dict[str, Any]:
        found, meaning = self._conclusion
        return {
            "step": self.name,
            "url": self.url,
            "expected_kind": self.kind,
            "found_kind": found,
            "meaning": meaning,
            "passed": not self.failed,
            "left": list(self.left),
            "lines": [
                {
                    "name": each.line.name,
                    "says": each.line.says,
                    "verdict": each.verdict,
                    "required": each.required,
                    "why": self._hidden(each.why),
                    "exchanges": [self._exchange(exchange) for exchange in each.exchanges],
                }
                for each in self.findings
            ],
        }

    def junit(self) -> bytes:
        """Return one test case for each line. A line that the kind need not keep is skipped, not failed."""
        suite = ET.Element("testsuite", name=f"saga conform {self.name}", tests=str(len(self.findings)))
        suite.set("failures", str(sum(each.failed for each in self.findings)))
        suite.set("skipped", str(sum(each.verdict is not Verdict.KEPT and not each.failed for each in self.findings)))
        for each in self.findings:
            case = ET.SubElement(suite, "testcase", classname=self.name, name=each.line.name)
            if each.verdict is not Verdict.KEPT:
                why = one_line(self._hidden(each.why))
                message = (
                    why if each.failed or each.verdict is Verdict.NOT_TRIED else f"kind {self.kind} need not: {why}"
                )
                found = ET.SubElement(case, "failure" if each.failed else "skipped", message=message)
                found.text = "\n".join(line for exchange in each.exchanges for line in self._shown(exchange))
        return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))

    @property
    def url(self) -> str:
        assert self.subject.step.call is not None
        return self.subject.settings[self.subject.step.call.participant].url

    def _shown(self, exchange: Exchange) -> Iterator[str]:
        shown = self._exchange(exchange)
        key = shown["request"]["headers"].get("Idempotency-Key", "")
        yield f"> {exchange.what}: {shown['request']['method']} {shown['request']['url']}  {key}".rstrip()
        if shown["request"]["body"]:
            yield f"> {shown['request']['body']}"
        reply = shown["reply"]
        status = reply["status"] or reply["error"]
        yield f"< {status} {reply['body']}".rstrip() + f"  ({exchange.outcome}, {exchange.reply.duration_ms:.0f} ms)"

    def _exchange(self, exchange: Exchange) -> dict[str, Any]:
        request, reply = exchange.request, exchange.reply
        body = "" if request.body is None or request.method == "GET" else self._body(request.body)
        return {
            "what": exchange.what,
            "request": {
                "method": request.method,
                "url": self._hidden(request.url),
                "headers": {name: self._hidden(value) for name, value in request.headers.items()},
                "body": body,
            },
            "reply": {
                "status": reply.status,
                "body": "" if reply.body is None or reply.blank else self._body(reply.body),
                "error": self._hidden(one_line(reply.error or reply.unreadable)),
            },
            "outcome": exchange.outcome,
            "ms": reply.duration_ms,
        }

    def _body(self, body: Any) -> str:
        if isinstance(body, dict | list):
            body = _SECRETS.redacted(body)
        return one_line(shortened(self._hidden(written(body).decode("utf-8", "replace")), _LONGEST_BODY))

    def _hidden(self, text: str) -> str:
        """Return the text without the secrets of the table and of the participant's settings."""
        for data in (self.subject.data, self.subject.refused_data, self.subject.other_data):
            text = self.subject.definition.without_secrets(text, data or {}, self.subject.replies)
        for settings in self.subject.settings.values():
            for secret in (settings.auth.secrets if settings.auth else {}).values():
                text = text.replace(secret, HIDDEN)
        return text
