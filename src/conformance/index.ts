/**
 * The contracts of the ports as test cases for whichever test runner: what a plugin of `type: infrastructure` runs against
 * its own message bus and state store.
 */
export type { BusCase, ConformanceCase, MakeBus } from './fixture.ts';
export { messageBusCases } from './message-bus.ts';
export { type MakeState, stateStoreCases } from './state-store.ts';
