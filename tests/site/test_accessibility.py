"""No finding of axe, the usual checker of accessibility, that is serious or worse."""

from __future__ import annotations

import pytest

PAGES = {
    "home": "index.html",
    "chapter": "chapters/03_retrieval.html",
    "notation": "notation.html",
    "try": "try.html",
    "results": "results/index.html",
}


@pytest.mark.parametrize(("scheme", "phone"), [("light", False), ("dark", True)], ids=["light desktop", "dark phone"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_axe_finds_nothing_serious(opened, path: str, scheme: str, phone: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the checker comes with this package")
    page = opened(path, color_scheme=scheme, phone=phone)
    if path == "try.html":
        page.get_by_role("button", name="Choose five for me").click()
        page.get_by_role("combobox").fill("the")
    found = axe.Axe().run(page).response["violations"]
    serious = {
        (finding["id"], node["target"][0], node["failureSummary"].replace("\n", " ")[:200])
        for finding in found
        if finding["impact"] in {"serious", "critical"}
        for node in finding["nodes"]
    }
    assert serious == set()
