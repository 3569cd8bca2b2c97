// The calls of the service, exactly as an EHR makes them, and what was sent and answered beside the page.
import { byId } from "./dom.js";

const page = byId("demo").dataset;
const SERVICES = { "patient-view": "trial-match-patient-view", "order-sign": "trial-match-order-sign" };
const USER = "Practitioner/demo";

const searchset = (resources) => {
  const bundle = { resourceType: "Bundle", type: "searchset", total: resources.length };
  return resources.length ? { ...bundle, entry: resources.map((resource) => ({ resource })) } : bundle;
};

const fhirServer = () => page[byId("ehr-state")?.value ?? "fhir"];

// Patient and conditions are always prefetched; every type that was edited goes along as the page holds it.
const request = (hook, chart, context) => {
  const types = ["Condition", ...chart.edited()].filter((type, place, all) => all.indexOf(type) === place);
  const prefetch = { patient: chart.patient };
  for (const type of types) prefetch[chart.keyOf(type)] = searchset(chart.resources(type));
  return {
    hook,
    hookInstance: crypto.randomUUID(),
    fhirServer: fhirServer(),
    context: { userId: USER, patientId: chart.patient.id, ...context },
    prefetch,
  };
};

const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json().catch(() => ({})) };
};

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const showExchange = (path, sent, answer, took) => {
  const address = `${location.origin}${path}`;
  byId("exchange").textContent = `POST ${path}: ${answer.status} in ${took} ms`;
  byId("request").textContent = JSON.stringify(sent, null, 2);
  byId("response").textContent = JSON.stringify(answer.body, null, 2);
  byId("curl").textContent = `curl -s ${address} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(sent))}`;
};

// Fires a hook; { status, body, took }.
export const fire = async (hook, chart, context = {}) => {
  const path = `/cds-services/${SERVICES[hook]}`;
  const sent = request(hook, chart, context);
  const started = performance.now();
  const answer = await post(path, sent);
  const took = Math.round(performance.now() - started);
  showExchange(path, sent, answer, took);
  return { ...answer, took, service: SERVICES[hook] };
};

// Says what became of a card; true when it was stored.
export const sendFeedback = async (service, item) => {
  const sent = { feedback: [{ ...item, outcomeTimestamp: new Date().toISOString() }] };
  const answer = await post(`/cds-services/${service}/feedback`, sent);
  const line = document.createElement("li");
  line.textContent = `${item.outcome}${item.overrideReason?.reason ? ` (${item.overrideReason.reason.code})` : ""}: answered ${answer.status}`;
  byId("feedback").append(line);
  byId("feedback-none").hidden = true;
  return answer.status === 200;
};
