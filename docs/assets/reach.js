"use strict";

// Whatever has to be scrolled on this screen, code, outputs, wide tables and formulas, can be reached by keyboard.

const REGIONS = ".md-typeset__scrollwrap, .math, .output > pre, pre > code";

function makeReachable() {
  for (const region of document.querySelectorAll(REGIONS)) {
    if (region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
  }
}

addEventListener("load", makeReachable);
addEventListener("resize", makeReachable);
document.addEventListener("toggle", makeReachable, true);  // a fold was opened
