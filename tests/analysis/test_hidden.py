"""The white box as a probe: what it is called, what it is known by, and that each trajectory gets its own rows."""

from __future__ import annotations

from pathlib import Path

import gpt
import numpy as np
import pytest

from tradearena.analysis.signatures.hidden import HiddenProbe, StatesProbe
from tradearena.analysis.signatures.trace import Said
from tradearena.errors import UsageError
from tradearena.values import State

CORPORA = [
    [Said("The calm names are held.", "Bars: 1"), Said("", "Bars: 2"), Said("Busy names fell.", "Bars: 3")],
    [Said("Nothing is held.")],
    [],
]


def state(layer: int, pool: str, *numbers: float) -> State:
    return State(layer, pool, np.array(numbers, dtype="<f4").tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return gpt.random_gpt(tmp_path_factory.mktemp("models") / "tiny", positions=64)


@pytest.mark.whitebox
@pytest.mark.xdist_group("whitebox")
def test_each_trajectory_gets_a_row_for_each_of_its_texts(folder):
    probe = HiddenProbe(str(folder))
    one, other, none = probe.embed(CORPORA, [0, 0, 1])
    assert (one.shape, other.shape, none.shape) == ((3, 48), (1, 48), (0, 48))
    assert (one.dtype, probe.prompted) == (np.float64, True)
    assert not one[1].any()
    np.testing.assert_allclose(one[2], HiddenProbe(str(folder)).embed([[CORPORA[0][2]]], [0])[0][0], atol=2e-6)
    assert (probe.seen, probe.cut) == (4, 0)
    probe.embed([[Said("x" * 80)]], [0])
    assert (probe.seen, probe.cut) == (5, 1)
    assert probe.embed([], []) == []


@pytest.mark.whitebox
@pytest.mark.xdist_group("whitebox")
def test_its_name_says_model_layer_and_pool_and_its_identity_what_a_vector_depends_on(folder, tmp_path):
    probes = [HiddenProbe(str(folder)), HiddenProbe(str(folder), -1), HiddenProbe(str(folder), -1, "last")]
    assert [probe.name for probe in probes] == ["hidden:tiny@1:mean", "hidden:tiny@3:mean", "hidden:tiny@3:last"]
    probes.append(HiddenProbe(str(folder), precision="bfloat16"))
    probes.append(HiddenProbe(str(gpt.random_gpt(tmp_path / "tiny", seed=1, positions=64))))
    assert len({probe.identity for probe in probes}) == len(probes)
    assert HiddenProbe(str(folder), 1, "mean").identity == probes[0].identity
    assert str(folder) not in probes[0].identity + probes[0].name


@pytest.mark.whitebox
@pytest.mark.xdist_group("whitebox")
def test_half_the_precision_gives_about_the_same(folder):
    whole, half = (HiddenProbe(str(folder), precision=each).embed(CORPORA, [0] * 3)[0] for each in ("float32", "auto"))
    assert np.array_equal(whole, half)  # the file has float32
    rough = HiddenProbe(str(folder), precision="bfloat16").embed(CORPORA, [0] * 3)[0]
    assert 0 < np.linalg.norm(whole - rough) < 0.05 * np.linalg.norm(whole)


@pytest.mark.whitebox
@pytest.mark.xdist_group("whitebox")
def test_a_layer_that_is_not_there_is_one_sentence(folder):
    with pytest.raises(UsageError, match="tiny has no layer 4: there are 0, the embeddings, to 3, or -1 for the last"):
        HiddenProbe(str(folder), 4)


def test_a_model_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        HiddenProbe(str(tmp_path / "none"))


# ---------------------------------------------------------------------- what an agent recorded of itself


def test_recorded_states_are_served_as_they_are():
    own = [
        Said("a", states=(state(2, "last", 1, 2), state(2, "mean", 3, 4), state(4, "mean", 5, 6))),
        Said(""),
        Said("c", states=(state(2, "mean", 7, 8), state(4, "mean", 9, 10))),
    ]
    one, other = StatesProbe(2).embed([own, [Said("spoken elsewhere")]], [0, 0])
    assert (one.tolist(), other) == ([[3, 4], [0, 0], [7, 8]], None)
    (deepest,) = StatesProbe().embed([own], [0])
    assert deepest.tolist() == [[5, 6], [0, 0], [9, 10]]
    assert [StatesProbe(2, "last").name, StatesProbe().name, StatesProbe().prompted] == [
        "states@2:last", "states@-1:mean", False,
    ]  # fmt: skip
    assert one.dtype == np.float64


@pytest.mark.parametrize("probe", [StatesProbe(3), StatesProbe(-2), StatesProbe(4, "last"), StatesProbe(-1, "last")])
def test_a_layer_that_is_not_on_record_is_one_sentence_that_names_those_that_are(probe):
    own = [Said("a", states=(state(2, "last", 1), state(4, "mean", 2)))]
    with pytest.raises(UsageError, match="is not on record; there are states@2:last, states@4:mean"):
        probe.embed([own], [0])
