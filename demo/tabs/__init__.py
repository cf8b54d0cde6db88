"""One module per paper. To add a tab: a module with a `TAB`, and its place in this list."""

from __future__ import annotations

from demo.tabs import comodgan, hfgi, insetgan, self_conditioned, swapping

TABS = (hfgi.TAB, self_conditioned.TAB, comodgan.TAB, insetgan.TAB, swapping.TAB)
