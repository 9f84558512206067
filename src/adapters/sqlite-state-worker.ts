/** The thread that owns the database of the state store; see `sqlite-state.ts`. */
import { STATE } from './sqlite-state-schema.ts';
import { createStateStore, type PlainStateOptions } from './sqlite-state-table.ts';
import { serveStore } from './sqlite-thread-worker.ts';

serveStore(STATE, (db, options) => createStateStore(db, options as PlainStateOptions));
