// A reporter for vitest: counts what belongs to no test (an error that nobody caught, a test process that died), which its
// JSON report leaves out. Into the file that OPENSTARRY_UNHANDLED_ERRORS names.
import { writeFileSync } from 'node:fs';

export default class UnhandledErrors {
  onTestRunEnd(_modules, errors) {
    writeFileSync(process.env.OPENSTARRY_UNHANDLED_ERRORS, JSON.stringify({ count: errors.length }));
  }
}
