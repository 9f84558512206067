/** The thread that owns the database of the message bus; see `sqlite-bus.ts`. */
import { BUS } from './sqlite-bus-schema.ts';
import { createBusStore, type PlainBusOptions } from './sqlite-bus-store.ts';
import { serveStore } from './sqlite-thread-worker.ts';

serveStore(BUS, (db, options) => createBusStore(db, options as PlainBusOptions));
