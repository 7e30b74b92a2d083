import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fusion import reciprocal_rank_fusion


def test_scores_by_hand():
    fused = reciprocal_rank_fusion([[(7, 0.9), (3, 0.1)], [(3, 12.0)]], rrf_k=60)
    assert [position for position, _ in fused] == [3, 7]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61)
    assert fused[1][1] == pytest.approx(1 / 61)


def test_ties_keep_the_order_of_positions():
    assert [p for p, _ in reciprocal_rank_fusion([[(9, 1.0)], [(2, 1.0)]])] == [2, 9]


rankings = st.lists(
    st.lists(st.integers(0, 20), unique=True, max_size=8).map(lambda ps: [(p, 0.0) for p in ps]),
    max_size=4,
)


@given(rankings, st.randoms())
def test_the_order_of_rankings_changes_nothing(lists, random):
    shuffled = list(lists)
    random.shuffle(shuffled)
    assert reciprocal_rank_fusion(lists) == reciprocal_rank_fusion(shuffled)


@given(rankings)
def test_every_position_comes_back_once_and_sorted(lists):
    fused = reciprocal_rank_fusion(lists)
    assert sorted(p for p, _ in fused) == sorted({p for ranking in lists for p, _ in ranking})
    assert [s for _, s in fused] == sorted((s for _, s in fused), reverse=True)
