#!/usr/bin/env bash
# cql-execution compares a count with a lost superscript (109/L is valid UCUM: 109 per litre) and says false.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" cql-execution@3.3.2
node - <<'NODE'
const { Quantity } = require('cql-execution');

console.log('cql-execution', require('cql-execution/package.json').version);
const limit = new Quantity(100, '10*9/L');
const above = ['10*9/L', '10*3/uL', '109/L', '103/uL'].map(unit => [unit, new Quantity(180, unit).after(limit)]);
console.log('180 > 100 10*9/L:', JSON.stringify(above));
if (JSON.stringify(above.map(([, answer]) => answer)) !== '[true,true,false,false]') process.exit(1);
NODE
