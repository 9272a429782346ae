import pytest

from rulbook.experiments.weights_called_for import (
    FORMS,
    shares_called_for,
    trunk_left_by_clipping,
    weight_traces,
    weights_shown,
)


@pytest.fixture(scope="module")
def last():
    traces = weight_traces()
    return {form: trace["share"].to_numpy() for form, trace in traces.groupby("form")}


def test_every_form_is_traced_at_every_step(last):
    assert last.keys() == FORMS.keys() == shares_called_for().keys()
    assert {len(trace) for trace in last.values()} == {900}


@pytest.mark.parametrize("form", ["Uncertainty, at a rate of 0.1", "GradNorm, proximal step"])
def test_forms_that_act_arrive_and_stay(last, form):
    assert last[form][-1] == pytest.approx(shares_called_for()[form], rel=0.1)
    assert abs(last[form][-1] - last[form][-2]) < 1e-4


def test_uncertainty_at_the_networks_rate_is_far_from_what_it_calls_for(last):
    form = "Uncertainty, at the network's rate"
    assert last[form][-1] > 50 * shares_called_for()[form]


def test_printed_gradnorm_jumps_across_what_it_calls_for_for_ever(last):
    trace, called_for = last["GradNorm, as printed"], shares_called_for()["GradNorm, as printed"]
    assert abs(trace[-1] - trace[-2]) > 0.01
    assert trace[-100:].min() < called_for < trace[-100:].max()


def test_gradnorm_as_chen_et_al_ran_it_comes_near_equal_norms(last):
    form = "GradNorm, Chen et al.'s"
    assert abs(last[form][-100:] - shares_called_for()[form]).max() < 0.005


def test_the_table_has_a_row_a_form():
    rows = weights_shown(weight_traces(120), tail=20)
    assert rows["form"].tolist() == list(FORMS)
    assert (rows["lowest"] <= rows["mean"]).all()
    assert (rows["mean"] <= rows["highest"]).all()


def test_clipped_together_little_of_the_trunks_step_is_left():
    left = trunk_left_by_clipping()
    assert left["asked"] == pytest.approx(2**0.5, rel=0.01)
    assert left["together"] < 0.01
    assert left["apart"] > 0.5
    small = trunk_left_by_clipping(head_norm=1e-6)
    assert small["together"] > 0.5
