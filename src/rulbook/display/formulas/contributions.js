// What each loss contributes to a weighted sum, and the weight at which both contribute the same.

const balancingWeight = (rul, health) => health / (rul + health);
const rulShare = (weight, rul, health) => (weight * rul) / (weight * rul + (1 - weight) * health);

const LEAST_WEIGHT = 1e-6; // balances a RUL loss of 10,000 and a health loss of 0.01
const LARGEST_WEIGHT = 0.9999;

const view = (el, { weight, rul, health }) => {
  const state = { weight, rul, health };
  const set = (name) => (value) => {
    state[name] = value;
    draw();
  };
  const split = panel({
    title: "share of the RUL loss in the weighted sum, by its weight",
    x: { range: [LEAST_WEIGHT, 1], logarithmic: true, ticks: [1e-6, 1e-4, 0.01, 1] }, xlabel: "λ, the RUL weight",
    y: { range: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1] }, ylabel: "share of the RUL loss",
  });
  const controls = {
    weight: slider({ label: "λ, the RUL weight", low: LEAST_WEIGHT, high: LARGEST_WEIGHT, value: weight, logarithmic: true, changed: set("weight") }),
    rul: slider({ label: "RUL loss, cycles²", low: 0.1, high: 10000, value: rul, logarithmic: true, changed: set("rul") }),
    health: slider({ label: "health loss, nats", low: 0.01, high: 10, value: health, logarithmic: true, changed: set("health") }),
  };
  const balance = button("Balance", () => {
    state.weight = balancingWeight(state.rul, state.health);
    controls.weight.set(state.weight);
    draw();
  });
  const say = layout(el, {
    controls: [...Object.values(controls).map((control) => control.node), balance],
    drawings: [split.svg],
    legend: [["share of the RUL loss", COLOURS.rul, ""], ["the weight that balances", COLOURS.both, "2 3"]],
  });
  const draw = () => {
    const weights = Array.from({ length: 200 }, (_, i) => LEAST_WEIGHT ** (1 - i / 199));
    const even = balancingWeight(state.rul, state.health);
    const share = rulShare(state.weight, state.rul, state.health);
    split.clear();
    split.line(weights.map((w) => [w, rulShare(w, state.rul, state.health)]), COLOURS.rul);
    split.line([[even, -1], [even, 2]], COLOURS.both, { dash: "2 3" });
    split.dot(state.weight, share, COLOURS.health, `λ = ${number(state.weight)}`, 6);
    say(`At λ = ${number(state.weight)} the RUL loss contributes ${number(state.weight * state.rul)} and the health loss ` +
      `${number((1 - state.weight) * state.health)}: ${number(100 * share)} % and ${number(100 * (1 - share))} % of the sum. ` +
      `Both contribute the same at λ = ${number(even)}.`);
  };
  draw();
};
