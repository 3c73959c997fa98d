"""Who gets which GPU."""

from __future__ import annotations

from dataclasses import replace

from jupyter_ext.devices.placement import Asked, Gpu, Round, Wish

GIB = 1 << 30
PLENTY = {1: (64_000, 512 * GIB), 2: (64_000, 512 * GIB)}


def gpu(gid: int, device: int = 1, *, memory: int = 80, model: str = "A100", **more: int) -> Gpu:
    return Gpu(gid, device, f"GPU-{gid}", model, memory * GIB, **more)


def given(wish: Wish, *gpus: Gpu, rest: dict[int, tuple[int, int]] | None = None) -> list[int]:
    chosen = Round(gpus, PLENTY, rest or PLENTY).offer(Asked(1, 1, wish))
    return [each.gid for each in chosen or ()]


def test_the_smallest_that_will_do() -> None:
    cards = gpu(1, memory=80), gpu(2, memory=24), gpu(3, memory=40)
    assert given(Wish(), *cards) == [2]
    assert given(Wish(memory=30 * GIB), *cards) == [3]
    assert given(Wish(count=2), *cards) == [2, 3]
    assert given(Wish(memory=90 * GIB), *cards) == []


def test_by_model_and_by_number() -> None:
    cards = gpu(1, model="NVIDIA H100"), gpu(2, model="NVIDIA L4"), gpu(3, model="NVIDIA L4")
    assert given(Wish(model="l4"), *cards) == [2]
    assert given(Wish(gids=(3, 1)), *cards) == [1, 3]
    assert given(Wish(gids=(3, 4)), *cards) == []
    assert given(Wish(model="T4"), *cards) == []


def test_all_of_one_device_and_whole_devices_stay_free() -> None:
    cards = gpu(1, 1), gpu(2, 1), gpu(3, 2), gpu(4, 2), gpu(5, 2)
    assert given(Wish(count=3), *cards) == [3, 4, 5]
    assert given(Wish(count=2), *cards) == [1, 2]
    assert given(Wish(count=4), *cards) == []
    assert given(Wish(), gpu(1, 1), gpu(2, 1), gpu(3, 2)) == [3]


def test_where_there_are_processors_and_memory() -> None:
    cards = gpu(1, 1, memory=24), gpu(2, 2, memory=80)
    asked = Asked(1, 1, Wish(), cpu=4000, memory=8 * GIB)
    for rest, expected in (
        ({1: (4000, 8 * GIB), 2: (9000, 9 * GIB)}, 1),
        ({1: (3999, 8 * GIB), 2: (9000, 9 * GIB)}, 2),
        ({1: (4000, 7 * GIB), 2: (9000, 9 * GIB)}, 2),
    ):
        chosen = Round(cards, PLENTY, rest).offer(asked)
        assert chosen is not None
        assert [each.gid for each in chosen] == [expected]
    assert Round(cards, PLENTY, {1: (0, 0)}).offer(asked) is None
    # What has no limit of its own counts nothing, also where too much is promised already.
    assert Round(cards, PLENTY, {1: (-1, -1)}).offer(Asked(1, 1, Wish())) is not None


def test_shared_ones_are_given_to_who_asks_for_them_the_fullest_first() -> None:
    cards = gpu(1), gpu(2, slots=4, free=4), gpu(3, slots=4, free=1)
    assert given(Wish(), *cards) == [1]
    assert given(Wish(shared=True), *cards) == [3]
    assert given(Wish(gids=(2,)), *cards) == [2]
    full = replace(cards[2], free=0)
    look = Round((full,), PLENTY, PLENTY)
    assert look.exhausted
    assert look.offer(Asked(1, 1, Wish(shared=True))) is None


def test_who_waits_is_not_passed_by_who_came_later() -> None:
    cards = [gpu(1, free=0), gpu(2), gpu(3, model="L4")]
    look = Round(cards, PLENTY, PLENTY)
    assert look.offer(Asked(1, 1, Wish(model="A100", count=2))) is None
    # The free one is kept for the first.
    assert look.offer(Asked(2, 2, Wish(model="A100"))) is None
    assert not look.exhausted
    other = look.offer(Asked(3, 3, Wish(model="L4")))
    assert other is not None
    assert look.exhausted


def test_each_place_is_given_once() -> None:
    look = Round([gpu(1), gpu(2, slots=2, free=2)], PLENTY, PLENTY)
    wishes = [Wish(), Wish(), Wish(shared=True), Wish(shared=True), Wish(shared=True)]
    found = [look.offer(Asked(n, n, wish)) for n, wish in enumerate(wishes)]
    assert [[each.gid for each in chosen or ()] for chosen in found] == [[1], [], [2], [2], []]


def test_processors_are_given_once() -> None:
    look = Round([gpu(1), gpu(2)], PLENTY, {1: (5000, GIB)})
    asked = [Asked(n, n, Wish(), cpu=3000) for n in (1, 2)]
    assert look.offer(asked[0]) is not None
    assert look.offer(asked[1]) is None


def test_a_wish_is_kept_as_it_is() -> None:
    wish = Wish(gids=(2, 1), count=3, model="x", memory=5, shared=True)
    assert Wish.read(wish.kept()) == wish
    assert wish.number == 2


def test_who_asks_for_what_there_is_not_keeps_nothing_from_others() -> None:
    cards = [gpu(1), gpu(2)]
    for wish in (Wish(count=3), Wish(gids=(1, 9)), Wish(model="T4"), Wish(shared=True)):
        look = Round(cards, PLENTY, PLENTY)
        assert not look.possible(Asked(1, 1, wish))
        assert look.offer(Asked(1, 1, wish)) is None
        assert look.offer(Asked(2, 2, Wish())) is not None
    look = Round(cards, {1: (4000, GIB)}, {1: (4000, GIB)})
    assert not look.possible(Asked(1, 1, Wish(), cpu=4001))
    assert look.possible(Asked(1, 1, Wish(), cpu=4000))


def test_a_card_counts_as_it_is_sold() -> None:
    l4 = Gpu(1, 1, "GPU-1", "L4", 23034 << 20)
    assert Wish(memory=24_000 << 20).fits(l4)
    assert not Wish(memory=32_000 << 20).fits(l4)
