// What a program written with fhir-kit-client does with our FHIR endpoint and with the demo EHR; its findings as JSON.
import { Client } from "fhir-kit-client";

const [ours, ehr] = process.argv.slice(2);
const studies = new Client({ baseUrl: ours });
const charts = new Client({ baseUrl: ehr });

const capabilities = await studies.capabilityStatement();
const lupus = await studies.search({
  resourceType: "ResearchStudy",
  searchParams: { condition: "http://snomed.info/sct|55464009", _count: 2 },
});
const rest = await studies.nextPage({ bundle: lupus });
const study = await studies.read({ resourceType: "ResearchStudy", id: "NCT06711146" });
const group = await studies.resolve({ reference: study.enrollment[0].reference, context: study });
const valueSet = await studies.read({ resourceType: "ValueSet", id: "platelets" });
const missing = await studies.read({ resourceType: "ResearchStudy", id: "nothing" }).catch((error) => error.response);

const patients = await charts.search({ resourceType: "Patient" });
const patient = patients.entry[0].resource;
const entry = [{ resource: patient }];
for (const resourceType of ["Condition", "Observation", "MedicationRequest", "Procedure"]) {
  let page = await charts.search({ resourceType, searchParams: { patient: patient.id } });
  while (page) {
    entry.push(...(page.entry ?? []).map((each) => ({ resource: each.resource })));
    page = await charts.nextPage({ bundle: page });
  }
}
const matched = await studies.operation({
  name: "match",
  resourceType: "ResearchStudy",
  input: { resourceType: "Bundle", type: "collection", entry },
});

console.log(
  JSON.stringify({
    fhirVersion: capabilities.fhirVersion,
    found: [...lupus.entry, ...rest.entry].map((each) => each.resource.id),
    group: group.resourceType,
    valueSet: valueSet.identifier[0].value,
    missing: { status: missing.status, resourceType: missing.data.resourceType },
    patient: patient.id,
    matched: matched.entry.map((each) => each.resource.resourceType),
    subject: matched.entry[0].resource.subject.reference,
  }),
);
