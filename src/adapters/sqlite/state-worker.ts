/** The thread that owns the database of the state store; see `state.ts`. */
import { STATE } from './state-schema.ts';
import { createStateStore, type PlainStateOptions } from './state-table.ts';
import { serveStore } from './thread-worker.ts';

serveStore(STATE, (db, options) => createStateStore(db, options as PlainStateOptions));
