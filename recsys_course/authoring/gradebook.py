"""Grades as files: a table for a spreadsheet, and JUnit's XML for whatever reads test results."""

from __future__ import annotations

import csv
import io
import re
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.submissions import Row

COLUMNS = ("student", "notebook", "exercise", "outcome", "message", "seconds")
LONGEST = 2000  # characters of a message
# What XML cannot hold at all, escaped or not.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_grades(rows: list[Row], folder: Path) -> tuple[Path, Path]:
    """Write ``grades.csv`` and ``grades.xml`` into a folder, each whole or not at all; returns their paths."""
    table, junit = folder / "grades.csv", folder / "grades.xml"
    write_if_changed(table, as_csv(rows))
    write_if_changed(junit, as_junit(rows))
    return table, junit


def as_csv(rows: list[Row]) -> str:
    """A line an exercise, below a line of column names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = [_plain(str(getattr(row, name))) for name in COLUMNS]
        # A spreadsheet takes what starts like this for a formula, and a name comes from a stranger.
        writer.writerow(f"'{value}" if value.startswith(("=", "+", "@")) else value for value in values)
    return text.getvalue()


def as_junit(rows: list[Row]) -> str:
    """A test suite a notebook, a test case an exercise; what could not be graded is an error, not a failure."""
    suites = ElementTree.Element("testsuites")
    for (student, notebook), group in groupby(rows, key=lambda row: (row.student, row.notebook)):
        cases = list(group)
        kinds = ["error" if r.outcome == "not graded" else "" if r.outcome == "solved" else "failure" for r in cases]
        suite = ElementTree.SubElement(suites, "testsuite", name=_plain(f"{student}: {notebook}"))
        counts = {"tests": len(cases), "failures": kinds.count("failure"), "errors": kinds.count("error")}
        suite.attrib.update({name: str(count) for name, count in counts.items()} | {"skipped": "0"})
        suite.set("time", f"{sum(row.seconds for row in cases):.1f}")
        for row, kind in zip(cases, kinds, strict=True):
            name, text = row.exercise or "notebook", _plain(row.message)
            case = ElementTree.SubElement(suite, "testcase", classname=_plain(student), name=name)
            case.set("time", f"{row.seconds:.1f}")
            if kind:
                ElementTree.SubElement(case, kind, message=row.outcome).text = text
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _plain(text: str) -> str:
    """Text without what XML cannot hold, and not longer than anybody reads."""
    text = FORBIDDEN.sub("\ufffd", text)
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."
