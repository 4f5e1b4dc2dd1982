"""The course's drawings: well-formed, with words of their own, asking nothing of any other host."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from recsys_course import diagrams

SVG = "{http://www.w3.org/2000/svg}"


def test_the_chapters_drawings_are_there():
    wanted = {"funnel", "content_and_collaborative", "two_towers", "pipeline", "splits", "ann_parts"}
    assert wanted <= set(diagrams.names())


@pytest.mark.parametrize("name", diagrams.names())
def test_is_an_image_with_a_title_and_a_description(name):
    root = ElementTree.fromstring(diagrams.source(name))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    first, second = list(root)[:2]
    assert (first.tag, second.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{first.get('id')} {second.get('id')}"
    assert first.text and len(second.text) > 80
    assert diagrams.description(name).startswith(first.text)


@pytest.mark.parametrize("name", diagrams.names())
def test_scales_and_has_no_page_background(name):
    root = ElementTree.fromstring(diagrams.source(name))
    width, height = (float(side) for side in root.get("viewBox").split()[2:])
    assert (width, height) == (float(root.get("width")), float(root.get("height")))
    for box in root.iter(f"{SVG}rect"):
        covers = float(box.get("width")) > 0.95 * width and float(box.get("height")) > 0.95 * height
        assert not covers, "a box as large as the drawing hides the reader's dark ground"


@pytest.mark.parametrize("name", diagrams.names())
def test_asks_no_host_and_runs_no_script(name):
    text = diagrams.source(name).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in text
    assert "<script" not in text and "<style" not in text and "@import" not in text


def test_ids_do_not_collide_when_drawings_share_a_page():
    ids = [
        element.get("id")
        for name in diagrams.names()
        for element in ElementTree.fromstring(diagrams.source(name)).iter()
        if element.get("id")
    ]
    assert len(ids) == len(set(ids))


def test_every_text_has_a_colour_of_its_own():
    def walk(element, fill):
        fill = element.get("fill", fill)
        if element.tag == f"{SVG}text":
            assert fill is not None, f"{element.text!r} would be black on a dark ground"
        for child in element:
            walk(child, fill)

    for name in diagrams.names():
        walk(ElementTree.fromstring(diagrams.source(name)), None)


def test_show_displays_the_drawing_with_a_text_for_terminals(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append((bundle, raw)))
    diagrams.show("funnel")
    [(bundle, raw)] = shown
    assert raw
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"].startswith("The recommendation funnel\nFrom left to right: a catalogue")


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="no diagram 'funel'.*content_and_collaborative.*funnel, pipeline"):
        diagrams.show("funel")
    with pytest.raises(ValueError, match="no diagram"):
        diagrams.source("../__init__.py")
