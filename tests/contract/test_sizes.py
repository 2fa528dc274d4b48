"""Sizes: what a reader can hold in mind at once. Lines of a function count without its docstring."""

import statistics

import pytest
from codebase import PRODUCT, Function, functions, python_files, text

FUNCTION_CAP = 50
FUNCTION_MEDIAN = 8
FUNCTION_P90 = 25
FILE_CAP = 400
FILE_P90 = 250
APP_CAP = 120
MAIN_CAP = 15
RPC_CAP = 15


def p90(lengths: list[int]) -> float:
    return statistics.quantiles(lengths, n=10, method="inclusive")[-1]


def lines(name: str) -> int:
    return text(name).count("\n")


def too_long(found: list[Function], cap: int) -> list[str]:
    return [
        f"{function.place} {function.name} has {function.lines} lines" for function in found if function.lines > cap
    ]


def test_no_function_is_longer_than_fifty_lines() -> None:
    assert too_long(functions(), FUNCTION_CAP) == []


def test_the_median_function_of_the_product_is_short() -> None:
    assert statistics.median(function.lines for function in functions(PRODUCT)) <= FUNCTION_MEDIAN


def test_nine_functions_in_ten_fit_into_half_a_screen() -> None:
    assert p90([function.lines for function in functions(PRODUCT)]) <= FUNCTION_P90


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    assert [f"{name} has {lines(name)} lines" for name in python_files() if lines(name) > FILE_CAP] == []


def test_nine_files_in_ten_are_at_most_two_hundred_and_fifty_lines() -> None:
    assert p90([lines(name) for name in python_files(PRODUCT)]) <= FILE_P90


@pytest.mark.parametrize(("ending", "cap"), [("/app.py", APP_CAP), ("/__main__.py", MAIN_CAP)])
def test_wiring_and_entry_points_of_services_stay_small(ending: str, cap: int) -> None:
    wiring = [name for name in python_files(("services",)) if name.endswith(ending)]
    assert [f"{name} has {lines(name)} lines" for name in wiring if lines(name) > cap] == []


def test_a_servicer_translates_and_calls_in_at_most_fifteen_lines_an_rpc() -> None:
    rpcs = [found for found in functions(("services",)) if "servicer" in found.place and found.name[0].isupper()]
    assert rpcs
    assert too_long(rpcs, RPC_CAP) == []
