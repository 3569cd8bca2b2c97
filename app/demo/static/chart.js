// The chart in the page. What is edited stays here (and in this tab): the service sees it as prefetch.
import { byId } from "./dom.js";

const TYPES = {
  Condition: "conditions", Observation: "observations", MedicationRequest: "medicationRequests",
  Procedure: "procedures", Immunization: "immunizations",
};
const content = JSON.parse(byId("chart-data").textContent);
const STORE = `trialcards-demo-${content.patient.id}`;

const now = () => new Date().toISOString().slice(0, 19) + "Z";
const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
};

export class Chart {
  constructor() {
    this.patient = content.patient;
    this.edits = kept();
  }
  keyOf(type) { return TYPES[type]; }
  edited() { return Object.keys(this.edits); }
  resources(type) { return this.edits[type] ?? content.resources[type] ?? []; }
  change(type, resources) {
    this.edits[type] = resources;
    sessionStorage.setItem(STORE, JSON.stringify(this.edits));
  }
  undo() {
    this.edits = {};
    sessionStorage.removeItem(STORE);
  }

  // -- problems

  addDiagnosis(choice) {
    const base = "http://terminology.hl7.org/CodeSystem/condition";
    const added = {
      resourceType: "Condition",
      id: `added-${crypto.randomUUID()}`,
      clinicalStatus: { coding: [{ system: `${base}-clinical`, code: "active" }] },
      verificationStatus: { coding: [{ system: `${base}-ver-status`, code: "confirmed" }] },
      code: choice.code,
      subject: { reference: `Patient/${this.patient.id}` },
      onsetDateTime: now().slice(0, 10),
      recordedDate: now(),
    };
    this.change("Condition", [added, ...this.resources("Condition")]);
  }
  removeDiagnosis(id) {
    this.change("Condition", this.resources("Condition").filter((each) => each.id !== id));
  }

  // -- results

  // The results of one test, newest first, under its name; a test is known by its codes.
  tests() {
    const tests = new Map();
    for (const result of this.resources("Observation")) {
      const code = result.code.coding?.[0];
      const key = code ? `${code.system}|${code.code}` : result.code.text;
      tests.set(key, [...(tests.get(key) ?? []), result]);
    }
    const newest = (one, other) => (other.effectiveDateTime ?? "").localeCompare(one.effectiveDateTime ?? "");
    return [...tests.values()].map((results) => results.sort(newest));
  }
  addResult(earlier, value) {
    const added = structuredClone(earlier);
    added.id = `added-${crypto.randomUUID()}`;
    added.effectiveDateTime = now();
    added.valueQuantity = { ...earlier.valueQuantity, value };
    delete added.interpretation;
    this.change("Observation", [added, ...this.resources("Observation")]);
  }

  // -- drugs and vaccines

  draftOrder(choice) {
    return {
      resourceType: "MedicationRequest",
      id: `order-${crypto.randomUUID()}`,
      status: "draft",
      intent: "order",
      medicationCodeableConcept: choice.code,
      subject: { reference: `Patient/${this.patient.id}` },
      authoredOn: now(),
      dosageInstruction: [choice.dosage],
    };
  }
  sign(order, choice) {
    if (choice.kind === "vaccine") {
      const { patient, id } = { patient: order.subject, id: order.id };
      const given = { resourceType: "Immunization", id, status: "completed", vaccineCode: choice.code, patient, occurrenceDateTime: now() };
      this.change("Immunization", [given, ...this.resources("Immunization")]);
      return;
    }
    this.change("MedicationRequest", [{ ...order, status: "active" }, ...this.resources("MedicationRequest")]);
  }
  stop(id) {
    const end = now();
    const stopped = (request) => ({ ...request, status: "stopped", dosageInstruction: (request.dosageInstruction ?? []).map((dose) => ended(dose, end)) });
    this.change("MedicationRequest", this.resources("MedicationRequest").map((each) => (each.id === id ? stopped(each) : each)));
  }
}

const ended = (dose, end) => {
  const repeat = dose.timing?.repeat;
  return repeat ? { ...dose, timing: { ...dose.timing, repeat: { ...repeat, boundsPeriod: { ...repeat.boundsPeriod, end } } } } : dose;
};

export const choices = content.choices;
