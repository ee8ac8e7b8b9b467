// Start the slides when formulas and typefaces stand: printing measures every slide as it starts.
// A slide with few words is for the back row: larger type where it then still leaves a fifth of the slide free.
const enlargeIfRoomy = (slide) => {
  if (slide.matches(".title, .break") || slide.querySelector(":scope > section")) return;
  const lowest = () => Math.max(0, ...[...slide.querySelectorAll(".cell")].map((cell) => cell.getBoundingClientRect().bottom))
    - slide.getBoundingClientRect().top;
  slide.classList.add("roomy");
  if (lowest() > 570) slide.classList.remove("roomy");
};

const inSpeakerView = /[?&]receiver/.test(location.search);

const start = async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  document.querySelectorAll(".slides section:not(.stack)").forEach(enlargeIfRoomy);
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false,
    hash: true, slideNumber: inSpeakerView ? false : "c/t", transition: "none", backgroundTransition: "none",
    controls: false, progress: true, navigationMode: "linear", scrollActivationWidth: null,
    pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    defaultTiming: 0,  // each slide says its own seconds; this only switches the speaker view's clock on
    plugins: [RevealNotes, RevealZoom],
  });
  window.Reveal = Reveal;
  document.documentElement.dataset.ready = "yes";
};
start();
