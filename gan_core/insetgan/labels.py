"""What the modes of `pipeline.MODES` and the regions of `regions.REGIONS` are called. Imports nothing."""

MODE_LABELS = {
    "joint": "Both: any face on any body",
    "body": "The body, for a given face",
    "face": "The face, on a given body",
}
REGION_LABELS = {
    "face": "Face: brows to chin",
    "head": "Head, with its hair",
    "outline": "Head, by its outline",
    "eyes": "Eyes and brows",
    "mouth": "Mouth and chin",
    "whole": "The whole picture of the inset",
}
PUBLISHED_REGIONS = ("whole", "head", "face", "eyes", "mouth")
