export default {
  render: ({ model, el }) => view(el, model.get("settings"), model.get("data")),
};
