"""The example study with all controls home before the only death, from the file to the report."""

from __future__ import annotations

import html
import re

import pytest
from sepsis_variant import write_variant

import longsurv as ls

pytestmark = pytest.mark.study


def test_the_report_says_what_could_not_be_estimated(tmp_path):
    path = write_variant(tmp_path)
    text = re.sub(r"draws = \d+", "draws = 100", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    results = ls.Study.from_toml(path).run()
    assert results.parts.get("priors") is None
    for name in ("methods", "competing", "tipping"):
        assert results.parts.get(name) is not None
    results.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(script|style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    said = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))
    assert "the posterior is the prior: at the only event everybody still at risk" in said
    assert "Reason: every posterior of treatment[T.ivig] is its prior" in said
    assert "no event happened while patients of both groups were at risk" in said
    assert "follow-up ends at 24 with patients" in said
    assert not re.search(r"\b(nan|inf)\b", said)
