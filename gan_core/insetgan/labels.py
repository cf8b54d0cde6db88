"""Labels of the modes of `pipeline.MODES` and the regions of `regions.REGIONS`. Imports nothing."""

MODE_LABELS = {
    "joint": "Both: any face on any body",
    "body": "The body, for a given face",
    "face": "The face, on a given body",
}
REGION_LABELS = {
    "face": "Face: brows to chin",
    "oval": "Face, by an oval",
    "head": "Head, with its hair",
    "outline": "Head, by its outline",
    "hair": "Head, cut out with its hair",
    "eyes": "Eyes and brows",
    "mouth": "Mouth and chin",
    "whole": "The whole picture of the inset",
}
SECOND_LABELS = {"feet": "Feet and shoes"}
"""Labels of the kinds of insets that other generators than the face's draw."""
FACE_ENTRY = "insetgan_face"
"""The published face generator's entry in weights/published.py."""
PUBLISHED_REGIONS = ("whole", "head", "face", "eyes", "mouth")
