#!/usr/bin/env bash
# cql-execution throws at a comparison with a unit text that is no UCUM, where CQL gives null.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" cql-execution@3.3.2
node - <<'NODE'
const { Quantity } = require('cql-execution');

console.log('cql-execution', require('cql-execution/package.json').version);
// The exception leaves `Executor.exec`, so that no patient of the run has a result.
const thrown = ['mmHg', 'IU/L', 'Gpt/L'].map(unit => {
  try {
    return String(new Quantity(5, unit).after(new Quantity(4, unit === 'mmHg' ? 'mm[Hg]' : 'U/L')));
  } catch (error) {
    return error.message;
  }
});
thrown.forEach(text => console.log(text));
if (!thrown.every(text => text.startsWith('Invalid UCUM unit'))) process.exit(1);
NODE
