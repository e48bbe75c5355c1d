"""Small files of bars, written the way users write them."""

import pytest

HEADER = "timestamp,symbol,open,high,low,close,volume"
DAYS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08")


def _bar(stamp, symbol="AAA", price=10.0, *, open=None, high=None, low=None, close=None, volume=100):  # noqa: A002
    """One line of a long CSV file; what is not given follows from the price."""
    cells = (open or price, high or price * 1.02, low or price * 0.98, close or price, volume)
    return f"{stamp},{symbol}," + ",".join(str(cell) for cell in cells)


@pytest.fixture
def days():
    """A week of trading, Tuesday to Monday."""
    return DAYS


@pytest.fixture
def bar():
    """Makes one line of a long CSV file."""
    return _bar


@pytest.fixture
def long_csv(tmp_path):
    """Writes lines below the header of a long file, and a card beside it where TOML is given."""

    def write(lines, card=None, name="prices"):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join((HEADER, *lines)) + "\n")
        if card is not None:
            (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\n{card}')
        return str(path)

    return write


@pytest.fixture
def file(tmp_path):
    """Writes any text file."""

    def write(text, name="prices.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return write
