import pytest

from skerry.manifest import quantities
from skerry.manifest.nodes import Mark, Scalar
from skerry.manifest.quantities import QuantityError
from skerry.manifest.scalars import resolve_plain


def plain(text):
    return Scalar(text, resolve_plain(text), Mark("x", 1, 1), True)


def quoted(text):
    return Scalar(text, text, Mark("x", 1, 1))


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("0", 0),
        ("1us", 1),
        ("1µs", 1),
        ("2500ns", 2),
        ("10ms", 10_000),
        ("30s", 30_000_000),
        ("1m30s", 90_000_000),
        ("1.5h", 5_400_000_000),
        ("1h1m1s1ms", 3_661_001_000),
        ("1d", 86_400_000_000),
        ("2w", 1_209_600_000_000),
    ],
)
def test_durations(text, microseconds):
    assert quantities.parse_duration(text) == microseconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1x", "-5s", "1 m", "1m 30s", "1.s", "1ns", "9" * 30 + "w", "1s" * 100]
)
def test_what_is_no_duration(text):
    with pytest.raises(QuantityError):
        quantities.parse_duration(text)


@pytest.mark.parametrize(
    ("scalar", "size"),
    [
        (plain("1024"), 1024),
        (quoted("1024"), 1024),
        (plain("512m"), 512 * 2**20),
        (plain("512M"), 512 * 2**20),
        (plain("64KiB"), 64 * 2**10),
        (plain("1.5GB"), 3 * 2**29),
        (quoted("2 g"), 2 * 2**30),
        (plain("1t"), 2**40),
        (plain("4096mb"), 2**32),
        (plain("100b"), 100),
    ],
)
def test_sizes_are_binary_as_in_compose(scalar, size):
    assert quantities.parse_size(scalar) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1 0m", "1e3", "true", "~", "9999999999999999p", "1" * 100])
def test_what_is_no_size(text):
    with pytest.raises(QuantityError):
        quantities.parse_size(plain(text))


@pytest.mark.parametrize(
    ("text", "millicores"), [("0.5", 500), ("2", 2000), ("1.0", 1000), (".25", 250), ("0.0001", 1), ("0", 0)]
)
def test_processors_are_millicores_rounded_up(text, millicores):
    assert quantities.parse_cpus(plain(text)) == millicores
    assert quantities.parse_cpus(quoted(text)) == millicores


@pytest.mark.parametrize("text", ["", "-1", "1e3", "two", "0x10", ".", "9" * 30, ".nan"])
def test_what_is_no_number_of_processors(text):
    with pytest.raises(QuantityError):
        quantities.parse_cpus(plain(text))


@pytest.mark.parametrize("word", ["true", "True", "yes", "ON", "y", "1"])
def test_switches_that_are_on(word):
    assert quantities.parse_switch(quoted(word)) is True


@pytest.mark.parametrize("word", ["false", "No", "off", "0"])
def test_switches_that_are_off(word):
    assert quantities.parse_switch(quoted(word)) is False


@pytest.mark.parametrize("scalar", [quoted("maybe"), plain("1"), plain("~"), quoted("")])
def test_what_is_no_switch(scalar):
    with pytest.raises(QuantityError):
        quantities.parse_switch(scalar)


@pytest.mark.parametrize(
    ("scalar", "number"), [(plain("3"), 3), (quoted("3"), 3), (plain("3.0"), 3), (quoted("-1"), -1)]
)
def test_whole_numbers(scalar, number):
    assert quantities.parse_whole(scalar) == number


@pytest.mark.parametrize(
    "scalar", [plain("3.5"), plain("true"), plain(".inf"), quoted("x"), quoted("9" * 41), quoted("9" * 20)]
)
def test_what_is_no_whole_number(scalar):
    with pytest.raises(QuantityError):
        quantities.parse_whole(scalar)


@pytest.mark.parametrize(
    ("scalar", "bits"),
    [
        (plain("0440"), 0o440),
        (plain("0o440"), 0o440),
        (quoted("0440"), 0o440),
        (quoted("440"), 0o440),
        (plain("288"), 288),
        (plain("0"), 0),
        (plain("01777"), 0o1777),
    ],
)
def test_modes_of_files_are_octal_when_they_look_it(scalar, bits):
    assert quantities.parse_mode(scalar) == bits


@pytest.mark.parametrize(
    "scalar", [quoted("rw"), quoted("999"), plain("0999"), plain("99999"), plain("-1"), quoted("")]
)
def test_what_is_no_mode(scalar):
    with pytest.raises(QuantityError):
        quantities.parse_mode(scalar)
