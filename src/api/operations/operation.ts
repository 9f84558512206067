import { z } from 'zod';
import type { ErrorCode } from '../../contract/errors.ts';

export interface Operation {
  id: string;
  tag:
    | 'agents'
    | 'messages'
    | 'topics'
    | 'state'
    | 'schedules'
    | 'runs'
    | 'incidents'
    | 'daemon'
    | 'probes'
    | 'documentation';
  summary: string;
  description?: string;
  /** By status. Of several types, the first is what is sent unless the request asks for another. */
  answers: Record<number, Answer>;
  /** Besides those that every route may answer with. */
  errors?: ErrorCode[];
  /** Where the route checks its body by itself. */
  body?: z.ZodType;
  /** Responses of this route are not replayed for an `Idempotency-Key`. */
  ownKeys?: boolean;
}

/** By method and path, as fastify has them. */
export type Operations = Readonly<Record<string, Operation>>;

interface Answer {
  description: string;
  content: Record<string, z.ZodType>;
}

export const json = (description: string, schema: z.ZodType): Answer => ({
  description,
  content: { 'application/json': schema },
});
export const text = (description: string, ...types: string[]): Answer => ({
  description,
  content: Object.fromEntries(types.map((type) => [type, z.string()])),
});
