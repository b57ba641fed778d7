"""What --what-if takes and what it does not."""
import pytest


@pytest.mark.parametrize("setting", ["", "x", "-1", "1,2,3,4", "1,", "bound=", "bound=5X", "bound=nan", "99999999999"])
def test_a_setting_that_is_none(lowtide, setting):
    result = lowtide("gc", f"--what-if={setting}", "1")
    assert result.code == 2
    assert "--what-if" in result.err and "10000,10,10" in result.err


def test_too_many_settings(lowtide):
    result = lowtide("gc", *["--what-if=1"] * 17, "1")
    assert result.code == 2 and "more than 16" in result.err
