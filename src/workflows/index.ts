export { agent } from './agent/agent.ts';
export { digest } from './incidents/digest.ts';
export { incident } from './incidents/incident.ts';
export { run } from './runs/run.ts';
export { tick } from './tick.ts';
