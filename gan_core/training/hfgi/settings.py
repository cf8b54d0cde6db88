"""Settings of HFGI's training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class HFGISettings:
    """All settings of a run; written to the log and into the weights' files."""

    batch: int = 64  # pictures a step and process
    lr: float = 1e-3
    l2: float = 0.0  # 0 for the stage's default: 1 for the encoder; 4 for the consultation, whose errors are small
    feature: float = 0.8
    offsets: float = 0.002  # weight of the offsets' length, in units of w's spread
    prior: float = 0.01  # weight of the codes' distance from the generator's latents
    known: float = 0.25  # weight of the error of w on generated pictures, in units of w's variance
    generated: float = 0.4  # share of generated pictures (encoder)
    align: float = 0.1  # weight of the aligned map's error (consultation)
    perturb: float = 0.15  # scale of the random perspective
    head_turn: float = 1.0  # scale of the random turn of the head; 0 for the paper's perspective alone
    adversarial_weight: float = 0.3  # gradient of the adversarial loss relative to the distances'; 0 for none
    unchanged: float = 2.0  # weight of the edits' squared error in areas that the plain edit does not change
    discriminator_lr: float = 0.001
    gamma: float = 3.0  # weight of R1 + R2 (halved, as in the papers)
    penalty_every: int = 16  # steps between gradient penalties, which are weighted by as much
    clip: float = 5.0
    seed: int = 0
