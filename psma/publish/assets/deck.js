// Start the slides when formulas and typefaces stand: printing measures every slide as it starts.
// The back row reads too: each slide takes the largest type (prose, code; px) that leaves a fifth of it free. The
// plain 26 and 21 are what authors write for, and what a full slide keeps.
const TYPE = [[38, 24], [34, 24], [31, 24], [34, 21], [31, 21], [26, 24], [26, 21]];
const enlarge = (slide) => {
  if (slide.matches(".title, .break")) return;
  const hasBlocks = slide.querySelector(".cell :is(pre, table, img)");
  const lowest = () => slide.querySelector(".page").lastElementChild.getBoundingClientRect().bottom
    - slide.getBoundingClientRect().top;
  const tooWide = () => [...slide.querySelectorAll("pre, table")].some((block) =>
    block.scrollWidth > block.clientWidth || block.offsetWidth > 1168);
  for (const [prose, code] of TYPE) {
    if (prose === 38 && hasBlocks) continue;
    slide.style.setProperty("--prose", `${prose}px`);
    slide.style.setProperty("--code", `${code}px`);
    if (lowest() <= 570 && !tooWide()) return;
  }
};

const inSpeakerView = /[?&]receiver/.test(location.search);

const start = async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  document.querySelectorAll(".slides section[data-cell-id]").forEach(enlarge);
  const printing = /[?&](print-pdf|view=print)/.test(location.search);
  const pagesStand = printing ? new Promise((done) => Reveal.on("pdf-ready", done)) : null;
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false,
    hash: true, slideNumber: inSpeakerView ? false : "c/t", transition: "none", backgroundTransition: "none",
    controls: false, progress: true, navigationMode: "linear", scrollActivationWidth: null,
    pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    defaultTiming: 0,  // each slide says its own seconds; this only switches the speaker view's clock on
    plugins: [RevealNotes, RevealZoom],
  });
  await pagesStand;
  window.Reveal = Reveal;
  document.documentElement.dataset.ready = "yes";
};
start();
