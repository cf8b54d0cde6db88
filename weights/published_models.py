"""Published checkpoints of the five papers, one entry each. `weights/entry.py` says what the fields mean."""

from __future__ import annotations

from typing import Any

from weights.entry import ModelPart
from weights.entry import PublishedFile as File
from weights.entry import PublishedModel as Model
from weights.published_sources import CDN, NGC, drive, folder, generator, hub, raw

_HFGI = "Wang et al., High-Fidelity GAN Inversion for Image Attribute Editing, CVPR 2022 (arXiv 2109.06590)"
_E4E = "Tov et al., Designing an Encoder for StyleGAN Image Manipulation, SIGGRAPH 2021 (arXiv 2102.02766)"
_EDGES = "Liu et al., Self-Conditioned GANs for Image Editing, SIGGRAPH 2022 (arXiv 2202.04040)"
_SWAPPING = "Park et al., Swapping Autoencoder for Deep Image Manipulation, NeurIPS 2020 (arXiv 2007.00653)"
_INSETGAN = "Fruehstueck et al., InsetGAN for Full-Body Image Generation, CVPR 2022 (arXiv 2203.07293)"
_HUMAN = "Fu et al., StyleGAN-Human, ECCV 2022 (arXiv 2204.11823)"
_COMODGAN = "Zhao et al., Large Scale Image Completion via Co-Modulated GANs, ICLR 2021 (arXiv 2103.10428)"
_MIGAN = "Zhao et al., ICLR 2021 (arXiv 2103.10428), as trained by Sargsyan et al., MI-GAN, ICCV 2023"

_HFGI_LICENCE = "none stated for HFGI; its generator is NVIDIA's StyleGAN2 (non-commercial)"
_E4E_LICENCE = "code MIT, none stated for the weights; its generator is NVIDIA's StyleGAN2 (non-commercial)"
_HUMAN_LICENCE = "none stated; trained on SHHQ (non-commercial research) with NVIDIA's code (non-commercial)"
_COMODGAN_LICENCE = "not stated for the weights; the authors' code under a BSD licence and NVIDIA's (non-commercial)"
_ADOBE_LICENCE = "Adobe Research License: non-commercial research only"

_W, _GLOBAL = "W+ ({}, 512)", "W+ ({}, 512) and a global vector (1024)"
_TEXTURE = "structure (8, H / 16, W / 16) and texture (2048)"


# ---------------------------------------------------------------- Edit a face

_STYLEHEAT = "https://github.com/FeiiYin/StyleHEAT/releases/download/styleheat"


def _direction(file: str, size: int, sha256: str, folder: str = "interfacegan_directions") -> File:
    path = f"editings/{folder}/{file}"
    hfgi = raw("Tengfei-Wang/HFGI", "e30f33cbdf37fc57b9e8354b11a528a62d476049", path)
    e4e = raw("omertov/encoder4editing", "99ea50578695d2e8a1cf7259d8ee89b23eea942b", path)
    return File(file, (hfgi, e4e), size, sha256)


_DIRECTIONS = (
    _direction("age.pt", 2808, "50074516b1629707d89b5e43d6b8abd1792212fa3b961a87a11323d6a5222ae0"),
    _direction("smile.pt", 2808, "817a7e732b59dee9eba862bec8bd7e8373568443bc9f9731a21cf9b0356f0653"),
    _direction("pose.pt", 37624, "736e0eacc8488fa0b020a2e7bd256b957284c364191dfea693705e5d06d43e7d"),
    _direction(
        "ffhq_pca.pt", 167562, "4d7f9df1c96180d9026b9cb8d04753579fbf385f321a9d0e263641601c5e5d36", "ganspace_pca"
    ),
)


def _e4e(name: str, key: str, size: int, sha256: str, resolution: int, memory: int, **more: Any) -> Model:
    file = f"{name}_encode.pt"
    revision = "fdd18714fc6b639487adbd901f16f67eb24ba786"
    mirrors = more.pop("mirrors", ())
    sources = (hub("public-data/e4e", file, revision), *mirrors, drive(key))
    styles = 2 * resolution.bit_length() - 4
    what = {"church": "churches", "horse": "horses"}.get(name[4:], name[4:])
    title = f"e4e for {what}: HFGI without consultation, so small details are lost"
    more = {"title": title, "alignment": "object"} | more
    return Model(
        name=name,
        licence=_E4E_LICENCE,
        source="e4e's authors, as a public copy on Hugging Face has it",
        paper=_E4E,
        size=(resolution, resolution),
        memory=memory,
        latent_layout=_W.format(styles),
        format="hfgi",
        files=(File(file, sources, size, sha256), *more.pop("directions", ())),
        **more,
    )


_FACES = (
    Model(
        name="hfgi_ffhq",
        title="HFGI for faces",
        licence=_HFGI_LICENCE,
        source="HFGI's networks as the StyleHEAT authors republish them, and HFGI's own edit directions",
        paper=_HFGI,
        size=(1024, 1024),
        memory=1_226_000_000,
        latent_layout=_W.format(18),
        alignment="face",
        format="hfgi",
        files=(
            *(File(name, (f"{_STYLEHEAT}/{name}",)) for name in ("hfgi.pth", "Encoder_e4e.pth", "StyleGAN_e4e.pth")),
            *_DIRECTIONS,
        ),
        instead=((File("ckpt.pt", (drive("19y6pxOiJWB0NoG3fAZO9Eab66zkN9XIL"),)), *_DIRECTIONS),),
        tab="hfgi",
        choice="ffhq",
        page="https://github.com/Tengfei-Wang/HFGI",
    ),
    _e4e(
        "e4e_ffhq",
        "1cUv_reLE6k3604or78EranS7XzuVMWeO",
        1_201_649_680,
        "2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
        1024,
        1_201_000_000,
        title="e4e for faces: HFGI without consultation, so small details are lost",
        alignment="face",
        mirrors=(hub("wmpscc/StyleGene", "e4e_ffhq_encode.pt", "e301280ac9a63ba7ebb4be3311128bb6c9cb9ae2"),),
        directions=_DIRECTIONS,
        tab="hfgi",
        choice="e4e",
    ),
    _e4e(
        "e4e_cars",
        "17faPqBce2m1AQeLCLHUVXaDfxMRU2QcV",
        1_077_493_298,
        "f1743d4a9fe701643916062d7c40a4ec3d5daaa153de1ef941285d3ed3758330",
        512,
        1_077_000_000,
        alignment="wide",
        tab="hfgi",
        choice="cars",
    ),
    _e4e(
        "e4e_church",
        "1-L0ZdnQLwtdy6-A_Ccgq5uNJGTqE7qBa",
        959_033_364,
        "590f00e84b6461ba05467f7b0c705972f0ed729f4e399d3e21bfdb1b781e1c93",
        256,
        959_000_000,
        tab="hfgi",
        choice="church",
    ),
    _e4e(
        "e4e_horse",
        "1TkLLnuX86B_BMo2ocYD0kX9kWh53rUVX",
        959_033_364,
        "bfcd7ac19571fab277d933d3133a1249d89f49ba948cfcc399ea271201f5c95f",
        256,
        959_000_000,
        tab="hfgi",
        choice="horse",
    ),
)

# ---------------------------------------------------------------- Edit at the edges


def _edges(name: str, title: str, size: int, memory: int, alignment: str, file: str) -> Model:
    return Model(
        name=name,
        title=title,
        licence="none stated; derived from NVIDIA's StyleGAN2 (non-commercial)",
        source="the authors' Drive folder; its file names are not known, so any name will do",
        paper=_EDGES,
        size=(size, size),
        memory=memory,
        latent_layout=_W.format(2 * size.bit_length() - 4) + ", and three weights an attribute",
        alignment=alignment,
        format="sc_gan",
        files=(File(file),),
        tab="self_conditioned",
        choice=name.removeprefix("sc_gan_"),
        page=folder("10GB6M6PMmrmt_VAiHV_kfXcwIW1uKnzJ"),
    )


_EDGE_MODELS = (
    _edges("sc_gan_ffhq1024", "Self-Conditioned GAN for faces, 1024 pixels", 1024, 133_000_000, "face", "ffhq.pt"),
    _edges("sc_gan_ffhq256", "Self-Conditioned GAN for faces, 256 pixels", 256, 121_000_000, "face", "ffhq256.pt"),
    _edges("sc_gan_cats", "Self-Conditioned GAN for cats (AFHQ)", 512, 124_000_000, "animal", "cats.pt"),
)

# ---------------------------------------------------------------- Fill a hole

_AUTHORS_FOLDER = folder("1zSJj1ichgSA-4sECGm-fQ0Ww8aiwpkoO")
_PORT = "https://maildluteducn-my.sharepoint.com/:u:/g/personal/zengyu_mail_dlut_edu_cn/{}?download=1"


def _fill(choice: str, title: str, size: int, alignment: str, file: str, key: str, port: str = "") -> Model:
    other = File(file.replace(".pkl", ".pth"), (_PORT.format(port),) if port else ())
    return Model(
        name=f"comodgan_{choice}",
        title=title,
        licence=_COMODGAN_LICENCE,
        source="CoModGAN's authors; or its conversion by the authors of co-mod-gan-pytorch",
        paper=_COMODGAN,
        size=(size, size),
        memory={256: 317, 512: 322, 1024: 331}[size] * 1_000_000,
        latent_layout=_GLOBAL.format(2 * size.bit_length() - 4),
        alignment=alignment,
        format="comodgan",
        files=(File(file, (drive(key),)),),
        instead=((other,),),
        tab="comodgan",
        choice=choice,
        page=_AUTHORS_FOLDER,
    )


def _migan(choice: str, title: str, size: int, alignment: str, file: str) -> Model:
    return Model(
        name=f"comodgan_{choice}",
        title=title,
        licence="code MIT, none stated for the weights; derived from NVIDIA's StyleGAN2 (non-commercial)",
        source="MI-GAN's authors, who trained CoModGANs of their own; in a Drive folder",
        paper=_MIGAN,
        size=(size, size),
        memory={256: 317, 512: 322}[size] * 1_000_000,
        latent_layout=_GLOBAL.format(2 * size.bit_length() - 4),
        alignment=alignment,
        format="comodgan",
        files=(File(file),),
        tab="comodgan",
        choice=choice,
        page=folder("1VATyNQQJW2VpuHND02bc-3_4ukJMHQ44"),
    )


_FILLERS = (
    _fill("ffhq512", "CoModGAN for faces, 512 pixels", 512, "face", "co-mod-gan-ffhq-9-025000.pkl",
          "1b3XxfAmJ9k2vd73j-3nPMr_lvNMQOFGE", "Ee1YPJG2Y7NDnUjJBf-SipoBBSlbv8QfFy6K7lsiiiiFHg"),
    _fill("ffhq1024", "CoModGAN for faces, 1024 pixels", 1024, "face", "co-mod-gan-ffhq-10-025000.pkl",
          "1M2dSxlJnCFNM6LblpB2nQCnaimgwaaKu", "EXcZ9OHEFQFAqhe1GQVFZ_4BwWoTvWyDM429gP5XrPAdaQ"),
    _fill("places512", "CoModGAN for scenes (Places2), 512 pixels", 512, "any", "co-mod-gan-places2-050000.pkl",
          "1dJa3DRWIkx6Ebr8Sc0v1FdvWf6wkd010", "EQG9jJzkFLJDsOWmVJJSoqQB2jRDkXlYt3wnt9Fb9dJDsQ"),
    _fill("edges2shoes", "CoModGAN that makes shoes of edges", 256, "drawing", "co-mod-gan-edges2shoes-025000.pkl",
          "155p-_zAtL8RJSsKHAWrRaGxJVzT4NZKg"),
    _fill("edges2handbags", "CoModGAN that makes handbags of edges", 256, "drawing",
          "co-mod-gan-edges2handbags-025000.pkl", "1nBIQaUs6fXRpEt1cweqQKtWVw5UZAqLi"),
    _migan("ffhq256", "CoModGAN for faces, 256 pixels (MI-GAN)", 256, "face", "comodgan_256_ffhq.pt"),
    _migan("places256", "CoModGAN for scenes, 256 pixels (MI-GAN)", 256, "any", "comodgan_256_places2.pt"),
    _migan("places512_migan", "CoModGAN for scenes, 512 pixels (MI-GAN)", 512, "any", "comodgan_512_places2.pt"),
)  # fmt: skip

# ---------------------------------------------------------------- Compose a body, and NVIDIA's generators

_PKL = "23394b8499352154d0c6551d049e40d9e4b224f3"


def _canvas(
    name: str, choice: str, title: str, size: tuple[int, int], file: File, *, licence: str = _HUMAN_LICENCE, **more: Any
) -> Model:
    return Model(
        name=name,
        title=title,
        licence=licence,
        source=more.pop("source", "StyleGAN-Human's authors"),
        paper=more.pop("paper", _HUMAN),
        size=size,
        memory=more.pop("memory", 127_000_000),
        latent_layout=_W.format(2 * size[0].bit_length() - 4),
        alignment="person",
        format=more.pop("format", "stylegan_human"),
        files=(file,),
        tab="insetgan",
        choice=choice,
        **more,
    )


_BODIES = (
    generator(
        "insetgan_face",
        "FFHQ faces (stylegan2-ada), InsetGAN's inset",
        1024,
        File(
            "ffhq.pkl",
            (
                f"{CDN}/ffhq.pkl",
                f"{NGC}/stylegan2-ffhq-1024x1024.pkl",
                hub("DragGan/DragGan-Models", "stylegan2-ffhq1024x1024.pkl"),
                "https://github.com/KushajveerSingh/human_3d_reconstruction/releases/download/v0.0.1/ffhq.pkl",
                drive("125OG7SMkXI-Kf2aqiwLLHyCvSW-gZk3M"),
            ),
            381_624_121,
            "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
        ),
        paper=_INSETGAN,
        tab="insetgan",
        choice="face",
    ),
    _canvas(
        "insetgan_deepfashion",
        "fashion",
        "InsetGAN's bodies (DeepFashion), 1024x768",
        (1024, 768),
        File(
            "DeepFashion_1024x768.pkl",
            (
                "https://www.dropbox.com/s/h25ooumivw2usc8/DeepFashion_1024x768.pkl?dl=1",
                "https://github.com/KushajveerSingh/human_3d_reconstruction/releases/download/v0.0.1/"
                "DeepFashion_1024x768.pkl",
            ),
        ),
        licence="not stated for the weights (the code is MIT); trained with NVIDIA's code (non-commercial)",
        source="InsetGAN's authors",
        paper=_INSETGAN,
        memory=130_000_000,
        page="https://github.com/afruehstueck/insetGAN",
    ),
    _canvas(
        "stylegan_human_v2",
        "human",
        "StyleGAN-Human bodies, 1024x512",
        (1024, 512),
        File(
            "stylegan_human_v2_1024.pkl",
            (
                hub("aaronb/StyleGAN2-pkl", "human/stylegan_human_v2_1024.pkl", _PKL),
                hub("public-data/StyleGAN-Human", "models/stylegan_human_v2_1024.pkl"),
                drive("1FlAb1rYa0r_--Zj_ML8e6shmaF28hQb5"),
            ),
            362_022_337,
            "16946ec5dd1718daa236999e1ceed3b5a40b8faa8c3de3ad5fda396620f29e7a",
        ),
    ),
    _canvas(
        "stylegan_human_v2_512",
        "human512",
        "StyleGAN-Human bodies, 512x256",
        (512, 256),
        File(
            "stylegan_human_v2_512.pkl",
            (
                hub("aaronb/StyleGAN2-pkl", "human/stylegan_human_v2_512.pkl", _PKL),
                hub("DragGan/DragGan-Models", "stylegan_human_v2_512.pkl"),
                drive("1dlFEHbu-WzQWJl7nBBZYcTyo000H9hVm"),
            ),
            352_745_981,
            "7af33f638e3b3aba7bf99456eec3e9d4a022d8a7dd67683a3605a7dd37665a3b",
        ),
        memory=122_000_000,
    ),
    _canvas("shhq_sg2_1024", "shhq", "SHHQ-1.0 bodies, 1024x512", (1024, 512),
            File("SHHQ-1.0_sg2_1024.pkl", (drive("1PuvE72xpc69Zq4y58dohuKbG9dFnnjEX"),))),
    _canvas("shhq_sg2_512", "shhq512", "SHHQ-1.0 bodies, 512x256", (512, 256),
            File("SHHQ-1.0_sg2_512.pkl", (drive("170t2FRWxR8_TG3_y0nVtDBogLPOClnyf"),)), memory=122_000_000),
)  # fmt: skip


# ---------------------------------------------------------------- Swap structure and texture

# The host has no https. What comes from it is read as tensors only, so a file changed on the way runs nothing.
_EFROS = "http://efrosgans.eecs.berkeley.edu/SwappingAutoencoder"


def _swap(name: str, title: str, size: int, file: str, **more: Any) -> Model:
    return Model(
        name=name,
        title=title,
        licence=_ADOBE_LICENCE,
        source="the authors, with test pictures",
        paper=_SWAPPING,
        size=(size, size),
        memory=223_000_000,
        format="swapping_autoencoder",
        files=(File(file, (f"{_EFROS}/{file}",)),),
        tab="swapping_autoencoder",
        page="https://github.com/taesungp/swapping-autoencoder-pytorch",
        **more,
    )


_SWAPPERS = (
    _swap(
        "swapping_models",
        "Swapping Autoencoders for churches, bedrooms, mountains and faces",
        1024,
        "swapping_autoencoder_models_and_test_images.zip",
        latent_layout=f"{_TEXTURE}; other sizes for ffhq1024",
        alignment="any",
        parts=(
            ModelPart("church", "church_pretrained", 256, "any"),
            ModelPart("bedroom", "bedroom_pretrained", 256, "any"),
            ModelPart("mountain", "mountain_pretrained", 512, "any"),
            ModelPart("ffhq512", "ffhq512_pretrained", 512, "face"),
            ModelPart("ffhq1024", "ffhq1024_pretrained", 1024, "face"),
        ),
    ),
    _swap(
        "swapping_afhq",
        "Swapping Autoencoder for animal faces",
        256,
        "afhq_models_and_test_images.zip",
        latent_layout=_TEXTURE,
        alignment="animal",
        parts=(ModelPart("animals", "afhq_pretrained", 256, "animal"),),
    ),
)

MODELS: tuple[Model, ...] = (*_FACES, *_EDGE_MODELS, *_FILLERS, *_BODIES, *_SWAPPERS)
