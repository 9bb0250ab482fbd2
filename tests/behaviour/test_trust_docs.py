# SPDX-License-Identifier: BSD-3-Clause
"""docs/trust.md names tests that exist."""
import re

from conftest import ROOT

PAGE = (ROOT / "docs/trust.md").read_text()
TESTS = {path.name: path.read_text()
         for pattern in ("*.py", "*.c") for path in sorted((ROOT / "tests").rglob(pattern))}
CODE = "\n".join(TESTS.values())
# A test's name is a sentence: at least three words, joined by underscores.
NAME = r"\b[a-z0-9]+(?:_[a-z0-9]+){2,}\b"


def test_its_files_exist():
    files = set(re.findall(r"`(test_\w+\.(?:c|py))`", PAGE))
    assert files and files <= set(TESTS)


def test_its_tests_exist():
    text = re.sub(r"`[\w/]+\.(?:c|h|py)`|\w+\(\)", "", PAGE)
    names = set(re.findall(NAME, text))
    assert names
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", CODE)] == []


def test_every_rule_has_a_test():
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines()
            if line.startswith("| ") and not line.startswith("| rule")]
    assert rows and all(len(row) == 2 and row[1].strip() for row in rows)
