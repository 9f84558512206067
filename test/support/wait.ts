export { until, type UntilOptions } from '../../src/conformance/wait.ts';
