/** The thread that owns the database of the message bus; see `bus.ts`. */
import { BUS } from './bus-schema.ts';
import { createBusStore, type PlainBusOptions } from './bus-store.ts';
import { serveStore } from './thread-worker.ts';

serveStore(BUS, (db, options) => createBusStore(db, options as PlainBusOptions));
