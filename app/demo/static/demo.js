// The chart page: draws the chart, fires the hook on opening and after every edit, and lets the cards follow.
import { answerWords, showCards } from "./cards.js";
import { Chart, choices } from "./chart.js";
import { button, byId, element, sparkline } from "./dom.js";
import { fire } from "./hooks.js";

const chart = new Chart();
const say = (words) => { byId("status").textContent = words; };

// -- words of the chart

const name = (concept) => concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code ?? "not stated";
const drugName = (request) => {
  const { medicationCodeableConcept: concept, medicationReference: reference } = request;
  return concept ? name(concept) : (reference?.display ?? reference?.reference ?? "not stated");
};
const day = (text) => (text ?? "").slice(0, 10);
const POWERS = { 3: "³", 6: "⁶", 9: "⁹", 12: "¹²" };
const unitWords = (quantity) => {
  const unit = quantity.code?.startsWith("{") ? "" : quantity.unit ?? "";
  return unit.replace(/^10\*(\d+)/, (_, power) => `10${POWERS[power] ?? `^${power}`}`).replace(/(^|\/)u(?=[LgkKm])/, "$1µ").replace("[IU]", "IU").replace(/\{[^}]*\}/, "").replace("mm[Hg]", "mmHg");
};
const valueWords = (result) => {
  const quantity = result.valueQuantity;
  if (quantity) return `${quantity.comparator ?? ""}${quantity.value} ${unitWords(quantity)}`.trim();
  if (result.valueRatio) return `${result.valueRatio.numerator.value}:${result.valueRatio.denominator.value}`;
  if (result.valueCodeableConcept) return name(result.valueCodeableConcept);
  if (result.component) return result.component.map((part) => `${name(part.code)} ${valueWords(part)}`).join(", ");
  return result.valueString ?? "";
};
const rangeOf = (result) => {
  const range = result.referenceRange?.[0];
  return range ? { low: range.low?.value, high: range.high?.value, words: range.text ?? `${range.low?.value ?? ""} – ${range.high?.value ?? ""}` } : null;
};
const flagOf = (result) => {
  const [range, value] = [rangeOf(result), result.valueQuantity?.value];
  if (!range || value === undefined) return null;
  if (range.low !== undefined && value < range.low) return ["L", "low"];
  return range.high !== undefined && value > range.high ? ["H", "high"] : null;
};
const doseWords = (request) => {
  const dosage = request.dosageInstruction?.[0];
  const [dose, repeat] = [dosage?.doseAndRate?.[0]?.doseQuantity, dosage?.timing?.repeat];
  if (!dose) return dosage?.text ?? "";
  const often = repeat?.frequency ? `, ${repeat.frequency} × a day` : "";
  return `${dose.value} ${dose.unit ?? ""}${often}`;
};

// -- drawing the chart

const problem = (condition) =>
  element("li", {}, element("span", {}, name(condition.code), " ", element("small", {}, day(condition.onsetDateTime) && `since ${day(condition.onsetDateTime)}`)),
    button("Remove", () => edit(() => chart.removeDiagnosis(condition.id), `${name(condition.code)} removed`), { class: "small", "aria-label": `Remove ${name(condition.code)}` }));

const drug = (request) => {
  const title = drugName(request);
  const active = request.status === "active";
  const stop = button("Stop", () => edit(() => chart.stop(request.id), `${title} stopped`), { class: "small", "aria-label": `Stop ${title}` });
  return element("tr", active ? {} : { class: "past" }, element("th", { scope: "row" }, title), element("td", {}, doseWords(request)),
    element("td", { class: "day" }, day(request.authoredOn)), element("td", {}, request.status), element("td", {}, active ? stop : ""));
};

const given = (immunization) =>
  element("tr", {}, element("th", { scope: "row" }, name(immunization.vaccineCode)), element("td", {}, "vaccine"), element("td", { class: "day" }, day(immunization.occurrenceDateTime)), element("td", {}, "given"), element("td"));

const pointsOf = (results) =>
  results.filter((each) => each.valueQuantity && each.effectiveDateTime).map((each) => ({ date: each.effectiveDateTime, value: Number(each.valueQuantity.value) })).reverse();

const test = (results) => {
  const [newest] = results;
  const [title, flag, points] = [name(newest.code), flagOf(newest), pointsOf(results)];
  const shown = element("td", { class: flag ? "number flagged" : "number" }, valueWords(newest), flag ? element("abbr", { title: flag[1] }, ` ${flag[0]}`) : "");
  const said = `${title}: ${points.map((point) => point.value).join(", ")}`;
  const trend = element("td", {}, points.length > 1 ? sparkline(points, said) : "");
  const change = newest.valueQuantity ? button("New", () => openEditor(newest, row), { class: "small", "aria-label": `New result for ${title}` }) : "";
  const row = element("tr", {}, element("th", { scope: "row" }, title), shown, element("td", { class: "quiet" }, rangeOf(newest)?.words ?? ""), trend,
    element("td", { class: "day" }, day(newest.effectiveDateTime)), element("td", {}, change));
  return row;
};

const statement = (results) =>
  element("tr", {}, element("th", { scope: "row" }, name(results[0].code)), element("td", {}, valueWords(results[0])), element("td", { class: "day" }, day(results[0].effectiveDateTime)));

const openEditor = (newest, row) => {
  const title = name(newest.code);
  const id = `new-${newest.id}`;
  const input = element("input", { id, type: "number", step: "any", required: true, value: newest.valueQuantity.value });
  const save = (event) => {
    event.preventDefault();
    edit(() => chart.addResult(newest, Number(input.value)), `${title} is now ${input.value}`);
  };
  const form = element("form", { class: "fields", onsubmit: save },
    element("div", { class: "field" }, element("label", { for: id }, `${title} today ${unitWords(newest.valueQuantity)}`.trim()), input),
    element("button", { type: "submit", class: "first" }, "Save"), button("Cancel", () => { opened.remove(); row.querySelector("button").focus(); }));
  byId("editor")?.remove();
  const opened = element("tr", { id: "editor" }, element("td", { colspan: 6 }, form));
  row.after(opened);
  input.select();
};

const byName = (one, other) => name(one[0].code).localeCompare(name(other[0].code));

const drawChart = () => {
  const none = element("li", { class: "quiet" }, "none recorded");
  const problems = chart.resources("Condition").map(problem);
  byId("problems").replaceChildren(...(problems.length ? problems : [none]));
  byId("drugs").replaceChildren(...chart.resources("MedicationRequest").map(drug), ...chart.resources("Immunization").map(given));
  const tests = chart.tests();
  const measured = (results) => Boolean(results[0].valueQuantity);
  byId("measured").replaceChildren(...tests.filter(measured).sort(byName).map(test));
  byId("stated").replaceChildren(...tests.filter((results) => !measured(results)).sort(byName).map(statement));
  byId("undo").hidden = chart.edited().length === 0;
  byId("edited").textContent = chart.edited().length ? `Edited in this tab: ${chart.edited().join(", ")}` : "";
};

// -- cards and drafts

const drafts = (resource, label) => {
  const line = element("li", {}, element("span", {}, label, " ", element("small", {}, `${resource.resourceType}, ${resource.status}`)));
  line.append(button("Delete", () => { line.remove(); byId("drafts-none").hidden = byId("drafts").children.length > 0; }, { class: "small", "aria-label": `Delete draft: ${label}` }));
  byId("drafts").append(line);
  byId("drafts-none").hidden = true;
};
const dismissed = (card, drawn) => {
  drawn.remove();
  say("Dismissed. The card comes back when what it says changes, or when the snooze ends.");
  byId("cards-heading").focus();
};
const acts = { drafts, dismissed };

let turn = 0;
const view = async () => {
  const mine = ++turn;
  byId("cards").setAttribute("aria-busy", "true");
  say("Asking TrialCards …");
  const answer = await fire("patient-view", chart).catch(() => null);
  if (mine !== turn) return; // a newer call is under way
  byId("cards").removeAttribute("aria-busy");
  if (!answer) {
    say("TrialCards did not answer. The chart is not affected.");
    byId("cards").replaceChildren();
    return;
  }
  showCards(byId("cards"), answer, acts);
  say(answerWords(answer));
};

const edit = (change, words) => {
  change();
  byId("changed").textContent = words;
  drawChart();
  return view();
};

// -- ordering

const order = async (event) => {
  event.preventDefault();
  const choice = choices.drugs[byId("drug").value];
  const draft = chart.draftOrder(choice);
  const draftOrders = { resourceType: "Bundle", type: "collection", entry: [{ resource: draft }] };
  const place = byId("order-cards");
  const answer = await fire("order-sign", chart, { draftOrders }).catch(() => null);
  const close = () => { byId("order").hidden = true; byId("drug").focus(); };
  showCards(place, answer ?? { body: {} }, { drafts, dismissed: (card, drawn) => drawn.remove() });
  const count = answer?.body.cards?.length ?? 0;
  byId("order-heading").textContent = `Sign the order for ${name(choice.code)}?`;
  byId("order-status").textContent = count ? "Before you sign:" : "No trial of this patient is affected.";
  byId("order-buttons").replaceChildren(
    button("Sign", () => { close(); edit(() => chart.sign(draft, choice), `${name(choice.code)} ordered`); }, { class: "first" }),
    button("Discard", close),
  );
  byId("order").hidden = false;
  byId("order-heading").focus();
};

const fill = (select, options) => options.forEach((choice, place) => select.append(element("option", { value: place }, name(choice.code))));

byId("add-diagnosis").addEventListener("submit", (event) => {
  event.preventDefault();
  const choice = choices.diagnoses[byId("diagnosis").value];
  edit(() => chart.addDiagnosis(choice), `${name(choice.code)} added`);
});
byId("add-drug").addEventListener("submit", order);
byId("undo").addEventListener("click", () => edit(() => chart.undo(), "All edits undone"));
byId("again").addEventListener("click", view);
byId("ehr-state")?.addEventListener("change", view);
byId("forget")?.addEventListener("click", async () => {
  await fetch("/demo/forget-dismissals", { method: "POST" });
  await view();
});
for (const copy of document.querySelectorAll("[data-copy]")) {
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
  });
}

fill(byId("diagnosis"), choices.diagnoses);
fill(byId("drug"), choices.drugs);
drawChart();
view();
