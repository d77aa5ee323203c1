"""The last two tables of `docs/portal.md`, from the provider profiles: `python -m docs.contradictions`."""

from collections.abc import Iterable
from pathlib import Path

from portal.profiles import CONTRADICTIONS, UNKNOWN, Question

PAGE = Path(__file__).parent / "portal.md"
BEGIN = "## Where the sources disagree\n"


def written() -> str:
    """Both tables with their headings."""
    return "\n".join(
        [
            BEGIN,
            *_table("question", CONTRADICTIONS),
            "\n## What nobody has documented\n",
            *_table("question", UNKNOWN),
            "",
        ]
    )


def _table(title: str, questions: Iterable[Question]) -> list[str]:
    rows = [f"| {each.asked} | {each.portal} | {each.tatum} | {each.eject} |" for each in questions]
    return [f"| {title} | Portal | Tatum | an eject |", "| --- | --- | --- | --- |", *rows]


def page(text: str) -> str:
    """The page with its last two tables made anew."""
    return text.partition(BEGIN)[0] + written()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
