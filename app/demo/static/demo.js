// Fires the hook that stands in the page and draws the cards as an EHR would: Markdown, no raw HTML.
"use strict";
const request = document.getElementById("request");
const status = document.getElementById("status");

const element = (tag, text, attributes = {}) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

marked.use({ renderer: { html: () => "", image: () => "" } });

const draw = (card) => {
  const drawn = element("article", undefined, { class: "card" });
  drawn.append(element("h3", card.summary));
  const detail = element("div");
  detail.innerHTML = marked.parse(card.detail ?? "");
  drawn.append(detail);
  const footer = element("footer");
  for (const suggestion of card.suggestions ?? []) {
    footer.append(element("button", suggestion.label, { type: "button", disabled: "" }));
  }
  for (const link of card.links ?? []) {
    const anchor = element("a", link.label, { href: link.url, rel: "noreferrer" });
    const line = element("p");
    line.append(anchor);
    footer.append(line);
  }
  footer.append(element("small", card.source.label));
  drawn.append(footer);
  return drawn;
};

const show = async () => {
  const started = performance.now();
  const answer = await fetch(request.dataset.url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: request.textContent,
  });
  const body = await answer.json();
  document.getElementById("response").textContent = JSON.stringify(body, null, 2);
  const took = Math.round(performance.now() - started);
  if (!answer.ok) {
    status.textContent = `TrialCards answered ${answer.status}: the chart could not be evaluated.`;
    return;
  }
  const count = body.cards.length;
  status.textContent = count ? `${count} card${count === 1 ? "" : "s"} in ${took} ms` : `No card for this chart (${took} ms).`;
  document.getElementById("cards").append(...body.cards.map(draw));
};

show().catch(() => {
  status.textContent = "TrialCards did not answer.";
});
