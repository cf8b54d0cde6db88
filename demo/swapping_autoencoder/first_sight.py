"""What the tab says and shows before anything is done, and its presets."""

from __future__ import annotations

from demo.parts.first_sight import About, Example

ABOUT = About(
    "Draw one picture's shapes with another picture's colours and surfaces: wholly, partly, or where you paint.",
    (
        "An encoder splits each picture into two codes: a small map of its structure, and one vector for its texture.",
        "The generator draws the first picture's map with the second picture's vector.",
        "It learned the split by itself: swapped pictures had to look real, and in small patches like the second one.",
    ),
    "Half of a texture, several of them, or a painted region: all are sums of such codes.",
)

EXAMPLE = Example("swap", ("Structure", "Texture", "Swapped"))
