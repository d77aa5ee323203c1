"""Makes `docs/messages.md` from the messages themselves: `make docs`.

Every table is a model's JSON schema, every example a message that the model took.
"""

import json
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from contracts.approvals import Approve, ApproveAnswer
from contracts.base import Message
from contracts.commands import Cancel, Command, Extend, Extended, Resolve, Taken
from contracts.mass import MASS_WORKFLOW, MassStatus
from contracts.names import WORKFLOW, Role, TaskQueue, mass_exit_id, workflow_id
from contracts.nexus import CancelFor, ClaimFor, ProveFor, Whose
from contracts.notices import DriftData, Notice, NoticeData, NoticeKind
from contracts.owner import Claim, ClaimAnswer, Proof, Prove, ProveAnswer
from contracts.parks import Retry, RetryAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest, digest_of
from contracts.sealing import fingerprint
from contracts.stages import End

PAGE = Path(__file__).with_name("messages.md")

CLIENT = "cl_7f3a"
EJECT = "01a1f888-7081-7bef-8798-f2f284282940"
REQUEST = EjectRequest(
    client_id=CLIENT,
    recipient="age1f7qy95c4267rmn6py5tkyjq3f0redq3a4u30u85m6jrl3n2fkarqp4x6d4",
    window=timedelta(days=7),
    requested_by="ada",
    reason="moves to self custody",
)
UPDATES: dict[str, tuple[Message, type[BaseModel]]] = {
    "approve": (Approve(digest=digest_of(REQUEST), by="grace", why="called her back"), ApproveAnswer),
    "claim": (Claim(claimed_by="ada"), ClaimAnswer),
    "prove": (
        Prove(
            proofs=(
                Proof(
                    wallet="wa_secp",
                    bundle="3c" * 32,
                    opened={Role.CLIENT: "a1" * 32, Role.CUSTODIAN: "b2" * 32},
                    signature="5f" * 64 + "1b",
                ),
            )
        ),
        ProveAnswer,
    ),
    "extend": (Extend(window=timedelta(days=14), by="ops", why="the owner travels"), Extended),
    "cancel": (Cancel(by="ops", why="the owner changed her mind"), Taken),
    "resolve": (Resolve(by="ops", why="the owner gave up"), Taken),
    "retry": (Retry(park=1, by="ops", why="deposited the shares"), RetryAnswer),
}
NOTICE = Notice(
    id=f"{EJECT}-1",
    kind=NoticeKind.SHARES_READY,
    at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    data=NoticeData(
        eject_id=EJECT,
        client_id=CLIENT,
        fingerprint=fingerprint(REQUEST.recipient),
        request_digest=digest_of(REQUEST),
        window_closes=datetime(2026, 2, 7, 11, 58, 4, tzinfo=UTC),
    ),
)

HEAD = f"""\
# Messages

Made by `make docs` from the models in `contracts/`; a test compares. How a service uses them stands in
`docs/integrating.md`.

- Everything is JSON with the payload encoding `json/plain`, the default of every Temporal SDK.
- Workflow type `{WORKFLOW}`, workflow id `{workflow_id("")}` and the client's id, queue `{TaskQueue.EJECT}`.
- A duration is ISO 8601 (`PT24H`, `P7D`), a time RFC 3339 in UTC. A time sent without a zone is taken as UTC.
- What is sent must have no unknown field. What is answered may gain fields: ignore those you do not know.
- A person's words (`by`, `why`, `reason` and the like) are one line; what looks like a key, a token, a UUID
  or a seed phrase is refused. Nobody verifies them. Put no secret there: a plain start is refused only after
  Temporal has stored its input.
- A refused update fails with an error of type `Refused` whose message is one sentence for people.
"""


def example(message: BaseModel) -> str:
    """A message as it is sent: what was not set is left out."""
    return json.dumps(message.model_dump(mode="json", exclude_unset=True))


def command(*words: str, given: BaseModel | None = None) -> str:
    """A command line of the `temporal` CLI about the example's client."""
    wid = ["--workflow-id", workflow_id(CLIENT)]
    more = [] if given is None else ["--input", example(given)]
    return f"    temporal {shlex.join([*words, *wid, *more])}"


def kind(schema: dict[str, Any], parts: dict[str, Any]) -> str:  # noqa: PLR0911 (one for each form)
    """A field's JSON in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        inner = parts[name]
        return kind(inner, parts) if "enum" in inner else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind(one, parts) for one in schema["anyOf"]).replace("` or one of `", "`, `")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {kind(schema['items'], parts)}{most}"
    if schema["type"] == "object":
        patterns = schema.get("patternProperties", {"": schema.get("additionalProperties")})
        ((pattern, held),) = patterns.items()
        names = schema.get("propertyNames", {"type": "string"} | ({"pattern": pattern} if pattern else {}))
        return f"object: {kind(names, parts)} to {kind(held, parts)}"
    if schema["type"] == "integer":
        bounds = [
            f" {word} {schema[key]}"
            for word, key in (("from", "minimum"), ("to", "maximum"))
            if key in schema
        ]
        return "integer" + "".join(bounds)
    if schema["type"] == "string":
        return _text(schema)
    return str(schema["type"])


def _text(schema: dict[str, Any]) -> str:
    if "format" in schema:
        return {"duration": "duration", "date-time": "time"}[schema["format"]]
    if "pattern" in schema:
        return f"string like `{schema['pattern']}`".replace("|", "\\|")
    if "maxLength" in schema:
        return f"string of at most {schema['maxLength']} characters"
    return "string"


def table(schema: dict[str, Any], parts: dict[str, Any], *, sent: bool) -> Iterator[str]:
    """A message's description and its fields; what is answered has them all."""
    yield from (schema["description"].replace("None ", "null "), "")
    if not schema.get("properties"):
        return
    yield from (
        ("| field | JSON | left out |", "| --- | --- | --- |")
        if sent
        else ("| field | JSON |", "| --- | --- |")
    )
    for name, field in schema["properties"].items():
        cells = [f"`{name}`", kind(field, parts)]
        if sent:
            cells.append("refused" if "default" not in field else f"`{json.dumps(field['default'])}`")
        yield f"| {' | '.join(cells)} |"
    yield ""


class Writer:
    """Collects the page, and the parts that its messages are made of."""

    def __init__(self) -> None:
        self.lines: list[str] = [HEAD]
        self._parts: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {}

    def message(self, model: type[BaseModel], title: str, *, sent: bool) -> None:
        """A message of its own."""
        schema = model.model_json_schema(mode="validation" if sent else "serialization")
        parts = schema.get("$defs", {})
        for name, part in parts.items():
            if "enum" not in part:
                self._parts[name] = (part, parts, sent)
        self.lines += [f"### {title}", "", *table(schema, parts, sent=sent)]

    def parts(self) -> None:
        """What stands inside other messages."""
        for name, (part, parts, sent) in sorted(self._parts.items()):
            self.lines += [f"### {name}", "", *table(part, parts, sent=sent)]


def page() -> str:
    """The whole page."""
    writer = Writer()
    lines = writer.lines
    lines += ["## Start", ""]
    start = ("workflow", "start", "--type", WORKFLOW, "--task-queue", TaskQueue.EJECT)
    lines += [command(*start, given=REQUEST), ""]
    writer.message(EjectRequest, "EjectRequest, the input", sent=True)
    lines += ["## Watch", "", "The query `status` asks a running eject; it needs a worker.", ""]
    lines += [command("workflow", "query", "--type", "status"), ""]
    writer.message(Status, "Status, its answer", sent=False)
    lines += ["The result of the workflow is the receipt; this waits for it.", ""]
    lines += [command("workflow", "result"), ""]
    writer.message(Receipt, "Receipt, the result", sent=False)
    lines += ["## Updates", ""]
    for name, (given, answer) in UPDATES.items():
        lines += [
            f"### `{name}`",
            "",
            command("workflow", "update", "execute", "--name", name, given=given),
            "",
        ]
        writer.message(type(given), f"{type(given).__name__}, the argument of `{name}`", sent=True)
        writer.message(answer, f"{answer.__name__}, the answer to `{name}`", sent=False)
    _nexus(writer)
    _notices(writer)
    _mass_exit(writer)
    lines += ["## Parts of other messages", ""]
    writer.parts()
    return "\n".join(lines).rstrip() + "\n"


def _nexus(writer: Writer) -> None:
    writer.lines += [
        "## Nexus",
        "",
        "Service `EjectService`. The inputs are the messages above with `client_id` beside their fields.",
        "",
        "| operation | input | answer | example |",
        "| --- | --- | --- | --- |",
        "| `eject` | EjectRequest | Receipt, at the end | as for the start |",
    ]
    whose = Whose(client_id=CLIENT)
    examples: dict[str, tuple[BaseModel, str]] = {
        "status": (whose, "Status, or Receipt once it has ended (it has `end`)"),
        "claim": (ClaimFor(client_id=CLIENT, claimed_by="ada"), "ClaimAnswer"),
        "prove": (
            ProveFor.model_validate(UPDATES["prove"][0].model_dump() | whose.model_dump()),
            "ProveAnswer",
        ),
        "cancel": (CancelFor.model_validate(UPDATES["cancel"][0].model_dump() | whose.model_dump()), "Taken"),
    }
    for name, (given, answer) in examples.items():
        fields = ", ".join(f"`{field}`" for field in type(given).model_fields)
        shown = "as for the update" if name == "prove" else f"`{example(given)}`"
        writer.lines.append(f"| `{name}` | {fields} | {answer} | {shown} |")
    writer.lines.append("")


def _notices(writer: Writer) -> None:
    types = ", ".join(f"`eject.{one}`" for one in (*NoticeKind, *End))
    writer.lines += [
        "## Notices",
        "",
        "The body of each POST; its headers, and how they are verified, are in `docs/integrating.md`.",
        "",
        "```json",
        NOTICE.body(),
        "```",
        "",
        f"`type` is one of {types}; `timestamp` is when it happened.",
        "",
    ]
    writer.message(NoticeData, "NoticeData, the `data`", sent=False)
    writer.message(DriftData, f"DriftData, the `data` of `eject.{NoticeKind.DRIFT}`", sent=False)


def _mass_exit(writer: Writer) -> None:
    command = f"`{example(Command(by='ops', why='Portal asked us to'))}`"
    writer.lines += [
        "## Mass exit",
        "",
        f"Workflow type `{MASS_WORKFLOW}`, workflow id `{mass_exit_id('')}` and its name.",
        "`starter.py mass-exit` starts it, after it has written the list into the vault.",
        "",
        "| message | argument | answer |",
        "| --- | --- | --- |",
        "| the query `status`, and the result | none | MassStatus |",
        *(f"| the update `{name}` | {command} | MassStatus |" for name in ("pause", "resume", "cancel")),
        "",
    ]
    writer.message(MassStatus, "MassStatus, the answer", sent=False)


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.name} is made anew.\n")
