"""Which candidate meets the test rows."""

from __future__ import annotations

from trainer.evaluate.choice import Contender, choose


def contender(name: str, right: int, p50_ms: float = 10.0, cost: float = 0.001, of: int = 200) -> Contender:
    """Right on its first rows."""
    return Contender(name, tuple(n < right for n in range(of)), p50_ms, cost)


def test_the_most_accurate_is_chosen() -> None:
    """With equal costs accuracy decides, and only the winner stands on the front."""
    choice = choose([contender("untuned", 90), contender("probe", 170), contender("lora", 180, 10.9)])
    assert (choice.name, choice.front) == ("lora", ("lora",))


def test_a_tie_goes_to_the_cheaper_one() -> None:
    """Within one standard error of the best, a clearly cheaper candidate is chosen; a clearly worse one never."""
    big = contender("big", 180)
    small = Contender("small", tuple(n >= 21 for n in range(200)), 5.0, 0.0005)
    choice = choose([small, big])
    assert choice.name == "small" and set(choice.front) == {"small", "big"} and "cheaper" in choice.reason
    assert choose([contender("small", 150, 5.0, 0.0005), big]).name == "big"


def test_noise_in_latency_decides_nothing() -> None:
    """Ten per cent faster is the machine's mood; the more accurate one is chosen."""
    assert choose([contender("probe", 179, 9.1, 0.00091), contender("lora", 180)]).name == "lora"


def test_equal_in_all_the_one_tried_first_wins() -> None:
    """Cheapest to tune comes first and stays."""
    assert choose([contender("probe", 180), contender("lora", 180)]).name == "probe"
