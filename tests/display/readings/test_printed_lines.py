import pytest

from rulbook import toy
from rulbook.display.readings import printed_lines


def test_a_line_is_marked_by_whether_it_is_the_printed_one():
    shown = printed_lines.beside(["a=1", "a=2"], ["a=1", "a=3"])
    assert shown.splitlines() == [
        "  source  a=1",
        "✓ run     a=1",
        "  source  a=2",
        "✗ run     a=3",
    ]


def test_lines_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        printed_lines.beside(["a"], [])


def test_the_first_program_prints_one_of_its_four_lines_as_printed():
    histories = {rho: toy.simulate_two_task(rho) for rho in (1, 10, 100, 500)}
    shown = printed_lines.of_first_program(histories).splitlines()
    assert [line[0] for line in shown[1::2]] == ["✓", "✗", "✗", "✗"]
    assert "theta=+0.996" in shown[6]
    assert "e+" in shown[7]
    assert all(len(line) < 100 for line in shown)


def test_the_second_program_prints_neither_of_its_lines():
    histories = {name: toy.run(500.0, name) for name in ("sgd", "adam")}
    shown = printed_lines.of_second_program(histories).splitlines()
    assert [line[0] for line in shown[1::2]] == ["✗", "✗"]
    assert "theta=+nan" in shown[1]


def test_a_loop_that_prints_the_printed_losses_is_marked_so():
    losses = [[1.0, 2.0, 1.5], [0.9, 2.0, 1.45]]
    shown = printed_lines.of_loop(losses, [losses[0], [0.9, 2.1, 1.5]])
    assert [line[0] for line in shown.splitlines()[1::2]] == ["✓", "✗"]
