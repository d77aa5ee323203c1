"""`docs/observing.md` says what there is: every metric, every alert, and where each alert leads."""

import json
import re

import pytest

from contracts.failures import RULES
from contracts.metrics import ALL, Outcome, Refused
from runtime.development import ROOT
from serving.observing import PARKS
from serving.watching import AGES, LATER, SLOW, SOON, URGENT

OBSERVED = ROOT / "deploy/observability"
PAGE = (ROOT / "docs/observing.md").read_text()
OPERATING = (ROOT / "docs/operating.md").read_text()
RULES_FILE = (OBSERVED / "rules.yml").read_text()
ALERTS = RULES_FILE.split("- alert: ")[1:]


def test_every_metric_of_ours_is_in_the_table() -> None:
    """Name, type, labels and meaning, and no other row."""
    labels = {one: ", ".join(f"`{label}`" for label in one.labels) or "-" for one in ALL}
    expected = [f"| `{one.shown}` | {one.kind} | {labels[one]} | {one.meaning} |" for one in ALL]
    assert [line for line in PAGE.splitlines() if line.startswith("| `eject_")] == expected


def test_every_value_of_a_label_is_named() -> None:
    """Outcomes, reasons and lengths."""
    lengths = {*AGES, SOON[0], LATER[0], *(count.label for count in (*URGENT, *SLOW))}
    for word in (*Outcome, *Refused, *lengths):
        assert f"`{word}`" in PAGE, word


@pytest.mark.parametrize("alert", ALERTS, ids=[text.split()[0] for text in ALERTS])
def test_every_alert_says_what_to_do_and_leads_there(alert: str) -> None:
    """The page has its description and severity, and the section that it names exists."""
    name = alert.split(maxsplit=1)[0]
    (severity,) = re.findall(r"severity: (\w+)", alert)
    (description,) = re.findall(r'description: "(.+)"\n', alert)
    assert f"| `{name}` | {severity} | {description} |" in PAGE
    (summary,) = re.findall(r'summary: "(.+)"\n', alert)
    assert summary
    ((page, anchor),) = re.findall(r"runbook_url: docs/(\w+)\.md#(\S+)", alert)
    headings = re.findall(r"^## (.+)$", (ROOT / f"docs/{page}.md").read_text(), re.M)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    """One uid in both, and a query in each panel; nothing of one machine."""
    dashboard = json.loads((OBSERVED / "grafana/dashboards/eject.json").read_text())
    source = (OBSERVED / "grafana/provisioning/datasources/prometheus.yml").read_text()
    (uid,) = re.findall(r"uid: (\S+)", source)
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) >= 15
    for panel in panels:
        assert panel["targets"], panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {uid}, panel["title"]
    (path,) = re.findall(r"path: (\S+)", (OBSERVED / "grafana/provisioning/dashboards/eject.yml").read_text())
    assert path == "/etc/grafana/dashboards"


def test_what_can_park_is_what_people_can_mend() -> None:
    """Parks are counted from nought for these failures, and for no other."""
    listed = set(re.findall(r"^\| `([A-Z]\w+)` \|", OPERATING, re.M))
    assert {str(failure) for failure in PARKS} == listed
    assert len(PARKS) < len(RULES)
