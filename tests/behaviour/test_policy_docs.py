# SPDX-License-Identifier: BSD-3-Clause
"""docs/policy.md names the policy's reasons as the program does."""
import re

from conftest import ROOT


def test_each_reason_stands_in_the_document_with_its_meaning():
    source = (ROOT / "policy/reasons.c").read_text()
    code = re.findall(r'POLICY_REASON_\w+\] = \{\s*"(\w+)",\s*"([^"]+)"', source)
    table = (ROOT / "docs/policy.md").read_text().split("## Reasons")[1].split("\n## ")[0]
    document = re.findall(r"^\| (\w+) \| ([^|\n]+) \|$", table, re.M)[1:]
    assert len(code) > 10 and code == document
