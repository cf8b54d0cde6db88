"""Published generators that no tab offers but scripts and training can start from, and networks that only help."""

from __future__ import annotations

from weights.entry import PublishedFile as File
from weights.entry import PublishedModel as Model
from weights.published_sources import CDN, NGC, drive, generator, hub

_LPIPS = "Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018"


def _ada(name: str, title: str, size: int, file: str, sources: tuple[str, ...], sha256: str | None = None,
         alignment: str = "face") -> Model:  # fmt: skip
    return generator(name, title, size, File(file, sources, None, sha256), alignment)


_TRANSFER = f"{CDN}/transfer-learning-source-nets"
_GENERATORS = (
    _ada("sg2ada_metfaces", "MetFaces (stylegan2-ada)", 1024, "metfaces.pkl",
         (hub("aaronb/StyleGAN2-pkl", "ada/metfaces.pkl", "7d9a80d433e2a63592e73622d3606d600f1fd46e"),
          f"{CDN}/metfaces.pkl", f"{NGC}/stylegan2-metfaces-1024x1024.pkl"),
         "880a460d011a3696c088f58f5844b44271b17903963f2671f96f72dfbce5f76f"),
    _ada("sg2ada_afhqcat", "AFHQ cats (stylegan2-ada)", 512, "afhqcat.pkl",
         (f"{NGC}/stylegan2-afhqcat-512x512.pkl", hub("DragGan/DragGan-Models", "stylegan2-afhqcat-512x512.pkl"),
          f"{CDN}/afhqcat.pkl"),
         "17a83abee464242f8bb40dc6363d33c2fb087066b68fc0147677fdbf21f7a7a9", "animal"),
    _ada("sg2ada_afhqdog", "AFHQ dogs (stylegan2-ada)", 512, "afhqdog.pkl",
         (hub("ZeqiangLai/StyleGAN2-pkl", "ada/afhqdog.pkl"), f"{CDN}/afhqdog.pkl"),
         "f124ff3f23206052473a7212cbc1f4e095a73c231500411e9c3b81a11eac3662", "animal"),
    _ada("sg2ada_afhqwild", "AFHQ wild animals (stylegan2-ada)", 512, "afhqwild.pkl",
         (f"{CDN}/afhqwild.pkl", f"{NGC}/stylegan2-afhqwild-512x512.pkl"), None, "animal"),
    _ada("sg2_afhqv2", "AFHQ v2 (stylegan2)", 512, "stylegan2-afhqv2-512x512.pkl",
         (f"{NGC}/stylegan2-afhqv2-512x512.pkl",), None, "animal"),
    _ada("sg2_ffhq512", "FFHQ faces, 512 pixels (stylegan2)", 512, "stylegan2-ffhq-512x512.pkl",
         (f"{NGC}/stylegan2-ffhq-512x512.pkl", hub("DragGan/DragGan-Models", "stylegan2-ffhq-512x512.pkl")),
         "d2b1c92f41ce8a64c55f7a75ef06c4c0eef9e17b1eb29aae8c10fb37b3e60478"),
    _ada("sg2_ffhq256", "FFHQ faces, 256 pixels (stylegan2)", 256, "stylegan2-ffhq-256x256.pkl",
         (f"{NGC}/stylegan2-ffhq-256x256.pkl", f"{_TRANSFER}/ffhq-res256-mirror-paper256-noaug.pkl")),
    _ada("sg2_ffhq1024_transfer", "FFHQ faces, 1024 pixels, to start training from", 1024,
         "ffhq-res1024-mirror-stylegan2-noaug.pkl", (f"{_TRANSFER}/ffhq-res1024-mirror-stylegan2-noaug.pkl",)),
    generator(
        "stylegan2_ffhq_rosinality", "FFHQ faces, 1024 pixels (rosinality's conversion), e4e's and HFGI's generator",
        1024,
        File("stylegan2-ffhq-config-f.pt",
             (hub("akhaliq/OneshotCLIP-stylegan2-ffhq", "stylegan2-ffhq-config-f.pt",
                   "024390a9508cb2d124dfaa8ec1caee3ad1a9da59"),
              drive("1EM87UquaoQmk17Q8d5kYIAHqu0dkYqdT")),
             381_462_551, "bae494ef77e32a9cd1792a81a3c167692a0e64f6bcd8b06592ff42917e2ed46e"),
        source="rosinality (stylegan2-pytorch), from NVIDIA's", format="rosinality_stylegan2"),
    generator(
        "stylegan2_ffhq256_rosinality", "FFHQ faces, 256 pixels (trained by rosinality)", 256,
        File("550000.pt", (drive("1PQutd-JboOCOZqmd95XWxWrO8gGEvRcO"),)),
        source="rosinality (stylegan2-pytorch)", format="rosinality_stylegan2"),
)  # fmt: skip

# ---------------------------------------------------------------- networks that only help


def _helper(
    name: str, title: str, licence: str, source: str, paper: str, size: int, memory: int, *files: File
) -> Model:
    return Model(
        name=name,
        title=title,
        licence=licence,
        source=source,
        paper=paper,
        size=(size, size),
        memory=memory,
        latent_layout="none",
        alignment="any",
        format="support",
        files=files,
        pixel_range=(0.0, 1.0),
    )


_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms are non-commercial research"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"
_SUPPORT = (
    _helper("inception_fid", "Inception network of FID, P-IDS and U-IDS",
            "Apache-2.0 (pytorch-fid's conversion of Google's network)", "pytorch-fid",
            "Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017 (arXiv 1706.08500)",
            299, 96_000_000,
            File("pt_inception-2015-12-05-6726825d.pth",
                 ("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                  "pt_inception-2015-12-05-6726825d.pth",
                  hub("RaphaelLiu/EvalCrafter-Models", "pt_inception-2015-12-05-6726825d.pth",
                       "6040b4d40fdcde446a0cf753b0527585b6b77c54")),
                 95_628_359, "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2")),
    _helper("lpips_alexnet", "AlexNet, the backbone of LPIPS in Compose a body", _TORCHVISION, "torchvision", _LPIPS,
            224, 244_000_000,
            File("alexnet-owt-7be5be79.pth", ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",))),
    _helper("facexlib", "RetinaFace, a face finder that knows more faces",
            "MIT (facexlib); trained on WIDER FACE, whose terms are research only", "facexlib",
            "Deng et al., RetinaFace, CVPR 2020 (arXiv 1905.00641)", 640, 2_000_000,
            File("detection_mobilenet0.25_Final.pth", (f"{_FACEXLIB}/detection_mobilenet0.25_Final.pth",), None,
                 "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220")),
)  # fmt: skip

OTHERS: tuple[Model, ...] = (*_GENERATORS, *_SUPPORT)
