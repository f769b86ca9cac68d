// Usage: node report.mjs SUITE RESULT REQUIRED OPTIMAL
//
// Compares the result of the suite in a directory with those of other caches that
// are recorded there. Only tests that are not for browsers are counted.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const [dir, result, required, optimal] = process.argv.slice(2)
const suites = (await import(join(dir, 'tests/index.mjs'))).default
const tests = suites.flatMap(suite => suite.tests)
  .filter(test => !test.browser_only)
  .map(({ id, name, kind = 'required' }) => ({ id, name, kind }))

const read = file => JSON.parse(readFileSync(file))
const passed = (results, kind) => tests.filter(t => t.kind === kind && results[t.id] === true).length
const total = kind => tests.filter(t => t.kind === kind).length
const ours = read(result)

for (const kind of ['required', 'optimal']) {
  console.log(`${kind}: ${passed(ours, kind)} of ${total(kind)} passed; not:`)
  for (const { id, name } of tests.filter(t => t.kind === kind && ours[t.id] !== true)) {
    console.log(`  ${id}: ${[].concat(ours[id] ?? 'not run').join(', ')}\n    ${name}`)
  }
}

const browsers = ['chrome', 'edge', 'firefox', 'safari']
const others = readdirSync(join(dir, 'results')).filter(f => f.endsWith('.json'))
  .map(f => [f.slice(0, -5), read(join(dir, 'results', f))])
  .filter(([name]) => !browsers.includes(name))
console.log('\ncache          required  optimal')
for (const [name, results] of [['vigil', ours], ...others]) {
  console.log(name.padEnd(14), String(passed(results, 'required')).padStart(8), String(passed(results, 'optimal')).padStart(8))
}
process.exitCode = passed(ours, 'required') < required || passed(ours, 'optimal') < optimal ? 1 : 0
