// Walk every slide of a deck and say what does not fit. Runs inside the page; returns plain data.
async (limits) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const UNSEEN = "aside.notes, .foot, script, style, mjx-assistive-mml, template, noscript";
  const VERBATIM = "pre, code, .code, .jp-OutputArea, mjx-container";
  const RAW_FORMULA = /\$[^$\n]*[\\^_{][^$\n]*\$|\$\$|\\\(|\\\[|\\(frac|lambda|rho|mu|sigma|bar|hat|sum|sqrt|times|text)\b/;

  const unseen = (element) => {
    if (element.closest(UNSEEN)) return true;
    const folded = element.closest("details:not([open])");
    return Boolean(folded) && !element.closest("summary");
  };
  const cellOf = (element) => (element.closest(".cell") || element.closest("section")).dataset.cellId;

  function* boxes(slide) {
    const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || unseen(element)) continue;
      const style = getComputedStyle(element);
      if (style.visibility === "hidden" || style.display === "none") continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) if (box.width && box.height) yield { element, box, text: node.data, style };
    }
    for (const element of slide.querySelectorAll("img, svg, canvas, video, iframe, table, pre, .code")) {
      if (unseen(element) || (element.tagName === "svg" && element.parentElement.closest("svg"))) continue;
      const box = element.getBoundingClientRect();
      if (box.width && box.height) yield { element, box };
    }
  }

  const measure = (slide, number) => {
    const scale = Reveal.getScale();
    const origin = slide.getBoundingClientRect();
    const worst = {};
    const note = (what, element, pixels, detail = "") => {
      if (!(what in worst) || pixels > worst[what].pixels)
        worst[what] = { slide: number, cell_id: cellOf(element), what, pixels: Math.ceil(pixels), detail };
    };
    let bottom = 0;
    for (const { element, box, text, style } of boxes(slide)) {
      const edge = (box.bottom - origin.top) / scale;
      bottom = Math.max(bottom, edge);
      if (edge > limits.bottom + 0.5) note("bottom", element, edge - limits.bottom);
      const right = (box.right - origin.left) / scale;
      if (right > limits.right + 0.5) note("right", element, right - limits.right);
      if (box.left - origin.left < -0.5) note("left", element, (origin.left - box.left) / scale);
      if (box.top - origin.top < -0.5) note("top", element, (origin.top - box.top) / scale);
      if (!text) continue;
      const size = parseFloat(style.fontSize);
      if (size < limits.font - 0.05 && !element.closest("svg"))
        note("font", element, limits.font - size, `${size} px: ${text.trim().slice(0, 40)}`);
      if (!element.closest(VERBATIM) && RAW_FORMULA.test(text)) note("formula", element, 0, text.trim().slice(0, 60));
    }
    for (const bad of slide.querySelectorAll("mjx-merror, [data-mjx-error]"))
      note("formula", bad, 0, bad.dataset.mjxError || bad.querySelector("[data-mjx-error]")?.dataset.mjxError || "error");
    for (const figure of slide.querySelectorAll("img")) {
      const [across, down] = (figure.dataset.natural || "0x0").split("x").map(Number);
      const shrunk = Math.max(across - figure.width, down - figure.height);
      if (shrunk > 0.5) note("figure", figure, shrunk, `${across} x ${down} px drawn, ${figure.width} x ${figure.height} shown`);
      if (/^(No description has been provided.*)?$/.test(figure.alt.trim())) note("alt", figure, 0);
      if (figure.complete && !figure.naturalWidth) note("image", figure, 0, figure.getAttribute("src").slice(0, 60));
    }
    return { problems: Object.values(worst), bottom: Math.round(bottom), cell_id: slide.dataset.cellId };
  };

  Reveal.configure({ transition: "none", backgroundTransition: "none", fragments: false });
  const slides = [];
  for (const slide of Reveal.getSlides()) {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v);
    await frame();
    slides.push(measure(slide, slides.length + 1));
  }
  return slides;
}
