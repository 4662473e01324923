# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reports: as their schema says, valid XML and quiet Markdown whatever stands in a record, short for a healthy store."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema  # type: ignore[import-untyped]
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils import output
from ansible_collections.aiops.k8s.plugins.module_utils.compliance import audit, report
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.checklist import CHECKS
from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import plain
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.stores import open_store

from tests.unit.compliance import building
from tests.unit.compliance.building import ADVICE, ENDED
from tests.unit.compliance.conftest import Stage
from tests.unit.compliance.test_compare import Cluster, Scene

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "compliance.schema.json").read_text(encoding="utf-8"))
HOSTILE = (
    "</failure><script>alert(1)</script> ]]> &amp; | # heading\n## more\n- item ![x](http://evil) <img src=x> `code` ```\n"
    "\x1b[31mred\x07 \u202egnp.exe \ufffe \x00 @everyone www.evil.example *b* _i_ ~~s~~"
)


def valid(document: dict[str, Any]) -> None:
    faults = [f"{list(one.absolute_path)}: {one.message}" for one in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]
    assert not faults


def broken(stage: Stage) -> dict[str, Any]:
    """A run that has findings which quote strangers."""
    scene = Scene(stage, Cluster())
    stage.drafts[ENDED][0]["payload"]["plan"]["target"]["name"] = HOSTILE
    stage.drafts[ADVICE][0]["payload"].pop("findings")
    stage.publish()
    made = scene.live("web", ENDED)
    made["metadata"]["annotations"]["aiops.k8s/record"] = HOSTILE
    made["metadata"]["annotations"]["aiops.k8s/digest"] = HOSTILE
    scene.api.put("/apis/apps/v1/namespaces/shop/deployments/web", made)
    return scene.run(cluster="auto")


def test_a_healthy_store_is_as_the_schema_says_and_short(stage: Stage) -> None:
    document = stage.run()
    valid(document)
    lines = report.lines(document, False, ["c.json"])
    assert [text for text, _colour in lines] == [
        f"9 records with 5 operations in {stage.folder}, 20 checks",
        "not compared: the cluster: cluster is off",
        "documented with approval: 100 % of medium and critical operations (4 of 4; target 100 %)",
        "0 errors, 0 warnings",
        "report: c.json",
    ]
    text = report.markdown(document)
    assert len(text.splitlines()) < 60 and "## Findings\n\nNone." in text


def test_a_broken_store_is_as_the_schema_says(stage: Stage) -> None:
    document = broken(stage)
    valid(document)
    assert {"C01", "C04", "R03", "R08"} <= {one["code"] for one in document["findings"]}


@pytest.mark.parametrize("name", ["compliant", "findings"])
def test_the_example_reports_are_what_is_written(name: str) -> None:
    folder = ROOT / "docs" / "examples" / "compliance"
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    valid(document)
    assert (folder / f"{name}.md").read_text(encoding="utf-8") == report.markdown(document)
    assert (folder / f"{name}.xml").read_bytes() == report.junit(document, False)


def test_a_run_that_could_not_check_anything(stage: Stage) -> None:
    document = audit.failed(open_store(str(stage.records), building.FEATURE), StoreFailed("No way.", HOSTILE))
    valid(document)
    root = ElementTree.fromstring(report.junit(document, False))
    assert root.attrib["errors"] == "1" and "No way." in report.markdown(document)


@pytest.mark.parametrize("strict", [False, True])
def test_junit_is_xml_with_numbers_that_add_up(strict: bool, stage: Stage) -> None:
    document = broken(stage)
    root = ElementTree.fromstring(report.junit(document, strict))
    suites = root.findall("testsuite")
    assert [suite.attrib["name"].split(" ")[0] for suite in suites] == list(CHECKS)
    for suite in [root, *suites]:
        cases = list(suite.iter("testcase"))
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure"))) and int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))
    failures = [case for case in root.iter("testcase") if case.find("failure") is not None]
    counting = [one for one in document["findings"] if one["severity"] == "error" or (strict and one["severity"] == "warning")]
    assert len(failures) == len(counting) > 0
    assert not root.findall(".//script")


def test_a_warning_is_a_failure_only_when_strict(stage: Stage) -> None:
    (stage.records / "policy.yml").write_text("medium: {proof: signature}", encoding="utf-8")
    document = stage.run()
    assert {one["severity"] for one in document["findings"]} == {"warning"}
    assert b"<failure" not in report.junit(document, False) and b"warning: record 0001" in report.junit(document, False)
    assert b"<failure" in report.junit(document, True)


def test_markdown_cannot_be_drawn_into(stage: Stage) -> None:
    text = report.markdown(broken(stage))
    titles = {f"## {name}" for name in ("Findings", "Checklist")} | {"# Compliance report"}
    assert {line for line in text.splitlines() if re.match(r"#{1,2} ", line)} == titles
    unescaped = re.sub(r"\\.", "", text)
    assert "<script" not in unescaped and "<img" not in unescaped and "](http" not in unescaped and "http://" not in unescaped
    assert "@everyone" not in unescaped and "www." not in unescaped
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {re.sub(r"\\.", "", row).count("|") for row in rows} == {5}


def test_the_terminal_gets_no_control_characters(stage: Stage) -> None:
    for text, _colour in report.lines(broken(stage), True, []):
        assert text.isprintable(), text


def test_plain() -> None:
    assert plain("a\x1b[1m\n\tb\u202e\ud800c") == "a [1m b c"
    assert len(plain("x" * 10_000)) < 700


def test_many_findings_stay_short(stage: Stage) -> None:
    document = stage.run()
    one = {"code": "R19", "severity": "error", "record": "0001", "object": "", "message": "gone", "fix": "do"}
    document["findings"] = [{**one, "record": f"{number:04d}"} for number in range(1000)]
    assert len(report.lines(document, False, [])) < 12
    assert len(report.markdown(document).splitlines()) < 120 and "950 more" in report.markdown(document)


def test_reports_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="junit_file .* cannot be written: No such file or directory"):
        output.writable("junit_file", str(tmp_path / "no" / "x.xml"))
    with pytest.raises(BadInput, match="markdown_file .* is a directory"):
        output.writable("markdown_file", str(tmp_path))
    output.write("result_file", str(tmp_path / "x"), b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_report_that_is_none(stage: Stage, tmp_path: Path) -> None:
    for text in ("no", "[]", '{"heads": {"0001": 1}}', "{}"):
        (tmp_path / "since.json").write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match="is no report of a compliance run"):
            stage.run(since=str(tmp_path / "since.json"))
    with pytest.raises(BadInput, match="cannot be read"):
        stage.run(since=str(tmp_path / "missing"))


def test_the_guide_shows_every_check(stage: Stage) -> None:
    guide = (ROOT / "docs" / "compliance.md").read_text(encoding="utf-8")
    runbook = (ROOT / "docs" / "runbooks" / "compliance-findings.md").read_text(encoding="utf-8")
    for check in CHECKS.values():
        assert f"| {check.code} | {check.severity} | {check.title} | {check.requirement} |" in guide
        assert re.search(rf"\| [^|]*\b{check.code}\b[^|]*\|", runbook), f"the runbook does not say what to do about {check.code}"
