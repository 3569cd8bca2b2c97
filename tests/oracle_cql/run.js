// Runs translated libraries against charts. In: JSON lines {library, today, bundle}; out: a line {define: value} each.
'use strict';
const fs = require('fs');
const path = require('path');

const [elm, modules] = process.argv.slice(2);
const cql = require(path.join(modules, 'cql-execution'));
const fhir = require(path.join(modules, 'cql-exec-fhir'));

const load = name => JSON.parse(fs.readFileSync(path.join(elm, `${name}.json`), 'utf8'));
const repository = new cql.Repository({ FHIRHelpers: load('FHIRHelpers') });
const source = fhir.PatientSource.FHIRv401(); // one for all: it reads the whole model of FHIR

const calls = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line));
const groups = new Map();
calls.forEach((call, place) => {
  const key = `${call.library} ${call.today}`;
  groups.set(key, [...(groups.get(key) || []), place]);
});

// The charts of one library and day are run in one go; the patients get the places of their calls as ids.
async function run(places, said) {
  const { library, today } = calls[places[0]];
  source._bundles = [];
  source.reset();
  for (const place of places) {
    const { bundle } = calls[place];
    bundle.entry.find(entry => entry.resource.resourceType === 'Patient').resource.id = `${place}`;
    source.loadBundles([bundle]);
  }
  const executor = new cql.Executor(new cql.Library(load(library), repository), null, { Today: cql.Date.parse(today) });
  const results = await executor.exec(source, cql.DateTime.parse(`${today}T00:00:00.000+00:00`));
  for (const place of places) {
    const truths = Object.entries(results.patientResults[place]).filter(([, v]) => v === null || typeof v === 'boolean');
    said[place] = Object.fromEntries(truths);
  }
}

async function main() {
  const said = [];
  for (const places of groups.values()) {
    await run(places, said);
  }
  process.stdout.write(said.map(each => `${JSON.stringify(each)}\n`).join(''));
}

main().catch(error => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
