import numpy as np
import pytest
import torch

from rulbook.data.simulate import simulate
from rulbook.experiments.gaba_floor import first_bound_step, floor_by_ratio, trace_gaba
from rulbook.weighting.gaba import GABALoss

from ..gradient_samples import pair
from ..weighting.conftest import measured_step


@pytest.mark.parametrize("ratio", [1.0, 18.0, 25.0, 500.0, 1e4])
def test_the_end_is_where_the_method_goes(ratio):
    method = GABALoss().double()
    step = measured_step(pair(ratio, 1.0, 0.0), torch.tensor([1.0, 1.0]))
    for _ in range(method.warmup_steps + 2000):
        method.weigh(step)
    (end,) = floor_by_ratio([ratio]).itertuples()
    reached = method.get_weights()
    assert end.final_weight == pytest.approx(reached["rul_weight"], rel=1e-6)
    weighted_ratio = ratio * reached["rul_weight"] / reached["health_weight"]
    assert end.weighted_ratio == pytest.approx(weighted_ratio, rel=1e-6)


def test_the_floor_leaves_ratios_below_nineteen_balanced():
    ends = floor_by_ratio([2, 10, 18, 20, 500])
    assert (ends["binding_step"].notna() == (ends["ratio"] > 19)).all()
    np.testing.assert_allclose(ends["weighted_ratio"][:3], 1)
    assert (ends["weighted_ratio"][3:] > 1).all()


@pytest.mark.slow
def test_a_trace_has_the_average_rest_in_warm_up_and_fall_afterwards():
    steps = GABALoss().warmup_steps + 3
    trace = trace_gaba(simulate("FD001"), steps, batch_size=8, seed=1, device="cpu")
    assert len(trace) == steps
    resting, falling = trace["average"][: steps - 3], trace["average"][steps - 3 :]
    assert (resting == 0.5).all()
    assert (np.diff([0.5, *falling]) < 0).all()
    np.testing.assert_allclose(trace["wanted"], 1 / (1 + trace["ratio"]))
    np.testing.assert_allclose(trace["weight"], trace["average"], rtol=1e-6)
    assert not trace["bound"].any()
    assert first_bound_step(trace) is None
    assert first_bound_step(trace.assign(bound=trace["step"] >= 7)) == 7
