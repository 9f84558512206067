import { Worker } from 'node:worker_threads';
import { CodedError } from '../../contract/errors.ts';
import type { CodedErrorLike, FromWorker, WorkerData } from './thread-worker.ts';

/** One life of the thread that owns a database. */
export interface ThreadLife {
  worker: Worker;
  /** With when the store wants to be called. Rejects if the database cannot be opened, or the thread ends before. */
  opened: Promise<number | null>;
}

export interface ThreadLifeOptions<Change> {
  name: string;
  url: URL;
  data: WorkerData;
  told: (message: FromWorker<Change>) => void;
  /** After it was opened: its thread is gone, and with it its hold on the file. @param why a part of a sentence */
  ended: (why: string) => void;
}

export function beginThread<Change>({ name, url, data, told, ended }: ThreadLifeOptions<Change>): ThreadLife {
  // Flags of the main thread, such as --input-type, can keep a worker from starting.
  const worker = new Worker(url, { workerData: data, name, execArgv: [] });
  let why = 'its thread ended';
  let isOpen = false;
  const opened = new Promise<number | null>((resolve, reject) => {
    worker.on('message', (message: FromWorker<Change>) => {
      if (message.kind === 'opened') {
        isOpen = true;
        resolve(message.dueMs);
      } else if (message.kind === 'failed') reject(revive(message.error));
      else told(message);
    });
    // Its exit follows.
    worker.on('error', (error) => (why = `its thread ended with ${error.message}`));
    worker.on('exit', () => {
      if (isOpen) ended(why);
      else reject(new Error(why));
    });
  });
  return { worker, opened };
}

export const revive = ({ code, message, details }: CodedErrorLike): CodedError =>
  new CodedError(code, message, details);
