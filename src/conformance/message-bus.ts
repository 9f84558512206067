import { deadLetterCases } from './bus-dead-letters.ts';
import { leaseCases } from './bus-leases.ts';
import { repeatCases } from './bus-repeats.ts';
import { sendingCases } from './bus-sending.ts';
import { topicCases } from './bus-topics.ts';
import { viewCases } from './bus-views.ts';
import type { BusCase } from './fixture.ts';

/** What every message bus must do, whatever it is kept in: the contract of `src/ports/message-bus.ts`, case by case. */
export const messageBusCases: readonly BusCase[] = [
  ...sendingCases,
  ...leaseCases,
  ...repeatCases,
  ...deadLetterCases,
  ...viewCases,
  ...topicCases,
];
