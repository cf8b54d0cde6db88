"""Exceptions whose message is a sentence for a person: what was wrong and what to do next.

`demo/` shows these messages as they are; any other exception is logged and shown as a generic sentence.
"""


class StudioError(Exception):
    """Base of all errors that a person can act on."""


class BadImage(StudioError):
    """The input is no image, is damaged, or is too small or too large."""


class BadVideo(StudioError):
    """The input is no video, is damaged, has no frames, or is too long."""


class NoFaceFound(StudioError):
    """No face was found where one is needed."""


class FaceTooSmall(StudioError):
    """A face was found, but it covers too few pixels to be edited."""


class BadValue(StudioError):
    """A number is outside its documented range."""


class UnknownName(StudioError):
    """An attribute, model or option of that name does not exist."""


class NotInstalled(StudioError):
    """An optional package is missing; the message names it."""


class WeightsMissing(StudioError):
    """The weights file of a model is not on this machine."""


class BadCheckpoint(StudioError):
    """A checkpoint is damaged, or of no format that this project reads."""


class UnsafeFile(BadCheckpoint):
    """A checkpoint asks for code to be run; it was refused and nothing was run."""


class TrainingDiverged(StudioError):
    """Gradients stopped being finite; the run ended at its last checkpoint."""


class OutOfMemory(StudioError):
    """The device has too little memory, even with every other model evicted."""


class Busy(StudioError):
    """The work cannot start now; trying again later will do."""


class Cancelled(StudioError):
    """The person stopped the work."""
