"""Views of cube maps: no seams, no aliasing, the right weights, and places that are held out."""

import csv
import math

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.errors import BadImage, BadValue
from gan_core.training import prepare_places
from gan_core.training.cube_maps import CUBE, LEVELS, CubeMaps, face_coordinates, rays_of
from gan_core.training.places import (
    Camera,
    PlacesStream,
    Views,
    family_weights,
    fixed_views,
    is_held_out,
    read_places,
)


def smooth(rays: torch.Tensor) -> torch.Tensor:
    """Colours (..., 3) from 0 to 255 that change smoothly with the direction."""
    x, y, z = (rays / rays.norm(dim=-1, keepdim=True)).unbind(-1)
    red, green, blue = torch.sin(2 * x + z), torch.cos(2 * y - x), torch.sin(1.5 * z + 2 * y + 0.5)
    return torch.stack([red, green, blue], -1) * 120 + 127.5


def texel_rays(side: int) -> torch.Tensor:
    """Directions (6, S, S, 3) of the middles of a cube map's texels."""
    middles = (torch.arange(side) + 0.5) * (2 / side) - 1
    face, row, column = torch.meshgrid(torch.arange(6), torch.arange(side), torch.arange(side), indexing="ij")
    return rays_of(face, middles[column], middles[row])


def smooth_map(side: int) -> torch.Tensor:
    return smooth(texel_rays(side)).round().to(torch.uint8)


def camera(count: int, *, angle: float, yaw=0.0, pitch=0.0, roll=0.0, place=0) -> Camera:
    """Views without a change of light."""
    rows = [torch.full((count,), math.radians(x)) for x in (angle, yaw, pitch, roll)]
    plain = torch.zeros(count, dtype=torch.bool)
    return Camera(torch.full((count,), place), *rows, torch.ones(count, 3), plain)


def write_place(folder, name: str, faces: torch.Tensor) -> None:
    (folder / name).mkdir(parents=True)
    for face, pixels in zip(CUBE, faces, strict=True):
        Image.fromarray(pixels.numpy()).save(folder / name / f"{face}.webp", lossless=True)


def stream(maps: list[torch.Tensor], resolution: int, views: Views | None = None) -> PlacesStream:
    from gan_core.training.places import Places

    names = [f"place{i}" for i in range(len(maps))]
    return PlacesStream(Places(CubeMaps.pack(maps), family_weights(names), names), resolution, views)


def test_positions_on_faces_and_directions_are_inverse() -> None:
    rays = texel_rays(5)
    face, right, down = face_coordinates(rays * 3)
    assert torch.equal(face, torch.arange(6).view(6, 1, 1).expand_as(face))
    torch.testing.assert_close(rays_of(face, right, down), rays)


def test_a_smooth_panorama_comes_back_everywhere() -> None:
    """Within one grey level, across edges, corners and poles, at full size and on two mip levels."""
    maps = CubeMaps.pack([smooth_map(64)])
    rays = torch.randn(1, 300, 300, 3, generator=torch.Generator().manual_seed(0))
    edge = torch.tensor([1.0, 1.0, 0.3]) + torch.randn(40, 3, generator=torch.Generator().manual_seed(1)) * 0.02
    special = torch.cat([edge, torch.eye(3), -torch.eye(3), torch.ones(1, 3), -torch.ones(1, 3)])
    for some, level, tolerance in ((rays, 0.0, 1.0), (special[None, None], 0.0, 1.0), (rays, 1.5, 3.0)):
        seen = maps.look(torch.zeros(1, dtype=torch.long), some, torch.full(some.shape[:-1], level))
        assert (seen - smooth(some)).abs().max() <= tolerance


def test_views_look_where_they_should() -> None:
    """A view's middle, its sides and its horizon, against the function that the panorama was made of."""
    one = stream([smooth_map(128)], 32)
    for yaw, pitch in ((0, 0), (90, 0), (200, 20), (45, -35)):
        seen = (one.take(camera(1, angle=60, yaw=yaw, pitch=pitch))[0] + 1) * 127.5
        a, b = math.radians(yaw), math.radians(pitch)
        ahead = torch.tensor([math.sin(a) * math.cos(b), math.sin(b), math.cos(a) * math.cos(b)])
        across = torch.tensor([math.cos(a), 0, -math.sin(a)])
        middle = seen[:, 15:17, 15:17].mean((1, 2))
        assert (middle - smooth(ahead)).abs().max() < 1.5
        right = seen[:, 15:17, -1].mean(1)
        assert (right - smooth(ahead + across * math.tan(math.radians(30)) * 31 / 32)).abs().max() < 1.5


def test_wide_views_do_not_alias() -> None:
    """A fine chequerboard becomes grey in a small wide view, and is still there in a view that can show it."""
    board = (torch.arange(256).view(-1, 1) + torch.arange(256)) % 2 * 255
    faces = board.to(torch.uint8)[None, :, :, None].expand(6, -1, -1, 3).contiguous()
    wide = stream([faces], 32).take(camera(1, angle=90))
    assert wide.std() < 0.03 and wide.mean().abs() < 0.05
    # Interpolated bilinearly its standard deviation is a third: the mean of (1 - 2 x)^2 in each direction.
    assert stream([faces], 256).take(camera(1, angle=30)).std() > 0.3


def test_elevation_is_where_the_pixels_look() -> None:
    one = stream([smooth_map(8)], 16)
    level = one.elevation(camera(1, angle=90))
    assert (level[:, :8] > 0).all() and (level[:, 8:] < 0).all() and level[0, 0, 7] == pytest.approx(0.75, abs=0.03)
    up = one.elevation(camera(1, angle=20, pitch=30))
    assert math.degrees(up.mean().item()) == pytest.approx(30, abs=0.5)
    tilted = camera(1, angle=90, roll=20)
    mirrored = camera(1, angle=90, roll=20)
    mirrored.mirror[:] = True
    torch.testing.assert_close(one.elevation(mirrored), one.elevation(tilted).flip(2))


def test_draws_are_seeded_and_within_their_limits() -> None:
    one = stream([smooth_map(64), smooth_map(16)], 32)
    first, second, other = (one.draw(6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert first.shape == (6, 3, 32, 32) and first.abs().max() <= 1
    views = one.aim(4000, torch.Generator().manual_seed(0))
    angle, pitch = torch.rad2deg(views.field), torch.rad2deg(views.pitch)
    assert angle.min() >= 30 - 1e-3 and angle.max() <= 100 + 1e-3
    assert (pitch - angle / 2).min() >= -70.1
    assert pitch.abs().median() < 6 and torch.rad2deg(views.roll).abs().max() < 7
    # The small map has 16 texels a face: a view of it narrower than 116 degrees would be magnified too much.
    assert angle[views.place == 1].min() > 99 and angle[views.place == 0].min() < 46


def test_no_family_dominates() -> None:
    weights = family_weights(["a", "b", "b", "b", "b"])
    assert weights.sum() == pytest.approx(1)
    assert weights[1:].sum() / weights[0] == pytest.approx(2)
    one = stream([smooth_map(8) for _ in range(4)], 8)
    drawn = torch.bincount(one.aim(8000, torch.Generator().manual_seed(0)).place, minlength=4) / 8000
    assert (drawn - 0.25).abs().max() < 0.03


def test_held_out_places_are_apart_and_stable(tmp_path) -> None:
    names = [f"place{i}" for i in range(24)]
    for name in names:
        write_place(tmp_path, name, smooth_map(8))
    trained, held, both = (read_places(tmp_path, held_out=which) for which in (False, True, None))
    assert set(trained.names).isdisjoint(held.names) and sorted(trained.names + held.names) == both.names
    assert held.names == [name for name in sorted(names) if is_held_out(name)] and held.names
    assert is_held_out("old_hall") and not is_held_out("red_wall")  # never to change
    pictures = fixed_views(tmp_path, 16, 5)
    assert pictures.dtype == torch.uint8 and torch.equal(pictures, fixed_views(tmp_path, 16, 5))


def test_what_is_no_place_is_refused(tmp_path) -> None:
    with pytest.raises(BadImage, match="no places"):
        read_places(tmp_path)
    write_place(tmp_path, "red_wall", smooth_map(8))
    (tmp_path / "red_wall" / "nz.webp").unlink()
    with pytest.raises(BadImage, match="lacks its face nz"):
        read_places(tmp_path, held_out=None)
    Image.new("RGB", (9, 8)).save(tmp_path / "red_wall" / "nz.png")
    with pytest.raises(BadImage, match="squares"):
        read_places(tmp_path, held_out=None)


def test_preparation_shrinks_and_keeps_within_its_size(tmp_path) -> None:
    source, out = tmp_path / "panoramas", tmp_path / "places"
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), dtype=np.uint8))
    for name in ("kloppenheim_04", "kloppenheim_05", "sky"):
        write_place(source, name, noise)
    rows = [{"name": n, "content": c} for n, c in (("kloppenheim_04", "field"), ("kloppenheim_05", "field"))]
    with (source / "panoramas.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["name", "content"])
        writer.writeheader()
        writer.writerows([*rows, {"name": "sky", "content": "sky only"}])
    whole = prepare_places.prepare(source, out, 32, 10)
    places = read_places(out, held_out=None)
    assert places.names == ["kloppenheim_04", "kloppenheim_05"]
    assert [row["family"] for row in places.labels] == ["kloppenheim"] * 2
    assert places.maps.sides[:, 0].tolist() == [32, 32] and places.maps.sides.shape == (2, LEVELS)
    assert prepare_places.prepare(source, out, 32, whole * 0.8) <= whole * 0.8
    with pytest.raises(BadValue, match="smaller side"):
        prepare_places.prepare(source, out, 32, whole * 0.01)
    with pytest.raises(BadImage, match="panoramas.csv"):
        prepare_places.prepare(tmp_path / "none", out, 32, 1)


def test_a_share_of_the_views_is_out_of_focus_and_closer(monkeypatch) -> None:
    """The first of a batch; the others and the views for scores stay sharp."""
    board = (torch.arange(64).view(-1, 1) + torch.arange(64)).remainder(2).mul(255).to(torch.uint8)
    faces = board.view(1, 64, 64, 1).expand(6, -1, -1, 3).contiguous()
    torch.manual_seed(0)
    source = stream([faces], 64, Views(soft=0.5, softest=12.0, magnified=1.0, soft_magnified=1.5))
    monkeypatch.setattr("gan_core.training.places.random_radii", lambda n, s, r, d: torch.full((n, 1, s, s), r))
    detail = source.draw(40).std([1, 2, 3])
    assert detail[:20].max() < 0.5 * detail[20:].median()
    assert (source._soft_narrowest < source._narrowest).all()
    assert source.take(source.aim(8)).std([1, 2, 3]).median() > 2 * detail[:20].max()
