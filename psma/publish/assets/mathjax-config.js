// Formulas are drawn as SVG paths: no web font, and the same size on every machine.
window.MathJax = {
  tex: {
    inlineMath: [["$", "$"], ["\\(", "\\)"]],
    displayMath: [["$$", "$$"], ["\\[", "\\]"]],
    packages: { "[-]": ["noerrors", "noundefined"] },  // a formula with a mistake says so, and the check finds it
  },
  // local: the speaker view copies a note's HTML into another window, which has no shared glyphs
  svg: { fontCache: "local" },
  options: {
    enableMenu: false,
    // a $ in code, in a table or in printed output is money or a variable, never a formula
    ignoreHtmlClass: "jp-OutputArea|code|foot",
    processHtmlClass: "jp-RenderedLatex|jp-RenderedMarkdown",
  },
};
