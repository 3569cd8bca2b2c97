// Draws cards as an EHR does: Markdown without raw HTML, suggestions as buttons, dismissal with a reason.
import { button, byId, element } from "./dom.js";
import { sendFeedback } from "./hooks.js";

const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
marked.use({
  renderer: {
    html: () => "",
    image: () => "",
    // Only web addresses become links; a card cannot bring a script.
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens);
      return /^https?:\/\//.test(href) ? `<a href="${escaped(href)}" rel="noreferrer">${text}</a>` : text;
    },
  },
});

const accept = async (card, suggestion, service, pressed, drafts) => {
  pressed.disabled = true;
  const stored = await sendFeedback(service, {
    card: card.uuid,
    outcome: "accepted",
    acceptedSuggestions: [{ id: suggestion.uuid }],
  });
  pressed.textContent = stored ? `✓ Draft created: ${suggestion.label}` : `Draft created, feedback not stored: ${suggestion.label}`;
  for (const action of suggestion.actions) if (action.type === "create") drafts(action.resource, suggestion.label);
};

const dismissal = (card, service, drawn, dismissed) => {
  const reasons = element("select", { id: `reason-${card.uuid}` }, element("option", { value: "" }, "No reason"));
  card.overrideReasons.forEach((reason, place) => reasons.append(element("option", { value: place }, reason.display)));
  const comment = element("input", { id: `comment-${card.uuid}`, maxlength: 200, placeholder: "Comment (optional)", "aria-label": "Comment" });
  const dismiss = async (event) => {
    event.preventDefault();
    const chosen = card.overrideReasons[reasons.value];
    const reason = chosen ? { reason: { code: chosen.code, system: chosen.system } } : {};
    const said = comment.value ? { ...reason, userComment: comment.value } : reason;
    const stored = await sendFeedback(service, {
      card: card.uuid,
      outcome: "overridden",
      ...(Object.keys(said).length ? { overrideReason: said } : {}),
    });
    if (stored) dismissed(card, drawn);
  };
  return element(
    "details",
    {},
    element("summary", {}, "Dismiss"),
    element(
      "form",
      { class: "fields", onsubmit: dismiss },
      element("div", { class: "field" }, element("label", { for: reasons.id }, "Why"), reasons),
      comment,
      element("button", { type: "submit" }, "Dismiss this card"),
    ),
  );
};

const draw = (card, service, { drafts, dismissed }, isFirst) => {
  const detail = element("div", { class: "detail" });
  detail.innerHTML = marked.parse(card.detail ?? "");
  const drawn = element("article", { class: "card", tabindex: "-1" }, element("h3", {}, card.summary));
  const links = (card.links ?? []).filter((link) => link.type === "absolute");
  const buttons = (card.suggestions ?? []).map((suggestion) => {
    const pressed = button(suggestion.label, () => accept(card, suggestion, service, pressed, drafts), suggestion.isRecommended ? { class: "first" } : {});
    return pressed;
  });
  drawn.append(element("div", { class: "suggestions" }, ...buttons));
  drawn.append(element("details", { class: "card-detail", open: isFirst }, element("summary", {}, "Why"), detail));
  const footer = element("footer", {}, ...links.map((link) => element("a", { href: link.url, target: "_blank", rel: "noreferrer noopener" }, link.label)));
  footer.append(element("small", {}, `Source: ${card.source.label}`));
  if (card.overrideReasons?.length) footer.append(dismissal(card, service, drawn, dismissed));
  drawn.append(footer);
  return drawn;
};

// Puts the cards of an answer into `place`, in the order in which they came.
export const showCards = (place, answer, acts) => {
  place.replaceChildren(...(answer.body.cards ?? []).map((card, turn) => draw(card, answer.service, acts, turn === 0)));
};

// One sentence about an answer, as an EHR might say it.
export const answerWords = (answer) => {
  if (answer.status === 412) return "TrialCards could not read this chart, so it gives no advice.";
  if (answer.status !== 200) return `TrialCards gives no advice now (status ${answer.status}). The chart is not affected.`;
  const count = answer.body.cards.length;
  const words = count === 0 ? "No card for this chart" : `${count} card${count === 1 ? "" : "s"}`;
  return `${words}, answered in ${answer.took} ms`;
};
