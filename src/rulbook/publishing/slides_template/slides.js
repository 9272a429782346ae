// Starts the slides of a chapter. For paper: the same address with ?print-pdf.
window.Reveal.initialize({
  controls: true,
  hash: true,
  progress: true,
  slideNumber: "c/t",
  transition: "none",
  width: 1280,
  height: 720,
});
