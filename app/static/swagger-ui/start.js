SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#documentation",
  // An address of its own for each operation would be a link inside the button that opens it.
  deepLinking: false,
  tryItOutEnabled: true,
  validatorUrl: null,
  // Colouring bodies of real size would hold the page up for seconds.
  syntaxHighlight: false,
  defaultModelsExpandDepth: -1,
});

// What a screen reader and the keyboard need, and the bundle leaves out: headings without a gap, and
// answers that the keyboard can scroll.
const MENDED = {
  ".information-container": { role: "region", "aria-label": "About this API" },
  "h3.opblock-tag": { "aria-level": "2" },
  "h4.opblock-title, .opblock-section-header h4": { "aria-level": "3" },
  "pre.microlight, .curl-command pre": { tabindex: "0" },
};

function mend() {
  for (const [selector, attributes] of Object.entries(MENDED)) {
    for (const element of document.querySelectorAll(`#documentation :is(${selector})`)) {
      for (const [name, value] of Object.entries(attributes)) {
        if (element.getAttribute(name) !== value) element.setAttribute(name, value);
      }
    }
  }
}

new MutationObserver(mend).observe(document.querySelector("#documentation"), { childList: true, subtree: true });
