#!/usr/bin/env bash
# cql-execution does not compare an arbitrary unit with itself; the answer is null.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" cql-execution@3.3.2
node - <<'NODE'
const { Quantity } = require('cql-execution');

console.log('cql-execution', require('cql-execution/package.json').version);
const answers = ['m[IU]/mL', '[IU]/L', 'mg/dL'].map(unit => new Quantity(5, unit).after(new Quantity(4, unit)));
console.log('5 > 4 in m[IU]/mL, [IU]/L, mg/dL:', JSON.stringify(answers));
if (JSON.stringify(answers) !== '[null,null,true]') process.exit(1);
NODE
