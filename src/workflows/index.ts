export { agent } from './agent.ts';
export { digest } from './digest.ts';
export { incident } from './incident.ts';
export { run } from './run.ts';
export { tick } from './tick.ts';
