import type Database from 'libsql';
import type { BrowseRequest, MessageState, StoredMessage } from '../../ports/message-bus.ts';
import type { Ids } from './bus-ids.ts';
import { type AsText, asJson, type MessageRow, type Messages, STATES, WITH_BODY } from './bus-messages.ts';
import type { Queues } from './bus-queues.ts';

export interface BrowseDeps {
  db: Database.Database;
  ids: Ids;
  queues: Queues;
  messages: Messages;
}

/** Looking at messages without taking them: the index is chosen so that few rows are read in vain. */
export function createBrowse({ db, ids, queues, messages }: BrowseDeps) {
  const prepared = new Map<string, Database.Statement>();

  function statement(index: string, conditions: readonly string[]): Database.Statement {
    const from = index === '' ? 'message NOT INDEXED' : `message INDEXED BY ${index}`;
    const text = `SELECT ${WITH_BODY} FROM ${from} WHERE ${conditions.join(' AND ')} ORDER BY seq LIMIT ?`;
    const known = prepared.get(text) ?? db.prepare(text);
    prepared.set(text, known);
    return known;
  }

  function asStored({ body, ...row }: MessageRow & { body: string }): AsText<StoredMessage> {
    const death =
      row.death === null ? null : (JSON.parse(row.death) as Omit<NonNullable<StoredMessage['death']>, 'atMs'>);
    return {
      ...messages.asMessage(row),
      body,
      state: STATES[row.state] as MessageState,
      consumer: row.consumer,
      death: death === null ? null : { ...death, atMs: row.until_ms as number },
    };
  }

  return function browse({ queue, state, from, correlationId, after, limit }: BrowseRequest): AsText<StoredMessage>[] {
    const conditions = ['seq > ?'];
    const values: (string | number | null)[] = [after === undefined ? 0 : ids.seqAfter(after)];
    let index = '';
    const where = (condition: string, value: string | number | null, by: string): void => {
      conditions.push(condition);
      values.push(value);
      index = by;
    };
    if (queue !== undefined) {
      const known = queues.find(queue);
      if (known === undefined) return [];
      where('queue = ?', known.id, 'message_queue');
    }
    if (from !== undefined) where('sender = ?', from, 'message_sender');
    if (state === 'ready') where('state = ?', 0, index);
    else if (state !== undefined) where('state <> 0 AND state = ?', STATES.indexOf(state), 'message_apart');
    if (correlationId !== undefined) where('correlation = ?', asJson(correlationId), 'message_correlation');
    return (statement(index, conditions).all(...values, limit) as (MessageRow & { body: string })[]).map(asStored);
  };
}
