from dataclasses import replace

import numpy as np
import pytest

from eval.abstention import Sample, asked, figures, fit, held_out
from eval.errors import EvalError

DRAWN = np.random.default_rng(0)


def sample(number):
    """The first value of a state tells; hits tell a little."""
    answerable = number % 2 == 0
    prior = float(np.clip(DRAWN.normal(0.6 if answerable else 0.4, 0.2), 0, 1))
    state = DRAWN.normal([2 if answerable else -2, *[0] * 7], 1).astype(np.float32)
    return Sample(f"topic {number % 16}", answerable, prior, False, 0.0, state)


SAMPLES = [sample(number) for number in range(160)]


def auroc(samples):
    return [row["AUROC"] for row in figures(samples, held_out(samples), 0.5).values()]


def test_what_is_fitted_tells_on_topics_left_out():
    by_hits, with_probe = auroc(SAMPLES)
    assert 0.6 < by_hits < 0.95 < with_probe


def test_nothing_is_learnt_from_states_that_say_nothing():
    noise = [replace(s, state=DRAWN.normal(0, 1, 8).astype(np.float32)) for s in SAMPLES]
    by_hits, with_probe = auroc(noise)
    assert abs(with_probe - by_hits) < 0.1


def test_of_some_no_yes_or_no_is_needed():
    some = [s if n % 3 else replace(s, yes=None) for n, s in enumerate(SAMPLES)]
    found = held_out(some)
    assert found.shape == (2, len(asked(some))) == (2, 106)
    assert figures(asked(some), found, 0.5)["hits and probe"]["AUROC"] > 0.95


def test_a_probe_has_an_intercept_and_one_opinion():
    probe = fit(SAMPLES)
    assert len(probe.states) == 9
    assert len(probe.opinions) == 1


def test_one_topic_cannot_be_left_out():
    with pytest.raises(EvalError, match="several topics"):
        fit([replace(s, topic="the same") for s in SAMPLES])
