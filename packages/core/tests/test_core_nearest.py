from graftwork.core.errors import one_line
from graftwork.core.nearest import did_you_mean, nearest


def test_the_nearest_name_wins() -> None:
    assert did_you_mean("rnak", ["rank", "alpha"]) == "; did you mean 'rank'?"


def test_case_and_underscores_do_not_matter() -> None:
    assert nearest("Sine_LoRA", ["lora", "sine-lora"]) == "sine-lora"
    assert nearest("clip-grad", ["clip_grad"]) == "clip_grad"


def test_without_a_near_one_all_are_told_in_order() -> None:
    assert did_you_mean("zzz", ["rank", "alpha", "rank"]) == "; known: alpha, rank"


def test_a_long_list_is_cut() -> None:
    text = did_you_mean("zzz", [f"name-{i:02}" for i in range(20)])
    assert text.endswith("name-11 and 8 more")


def test_nothing_known_says_nothing() -> None:
    assert did_you_mean("zzz", []) == ""


def test_one_line_folds_breaks() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
