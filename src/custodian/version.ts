declare const OPENSTARRY_VERSION: string | undefined;

/** Put in by the bundler (`--define:OPENSTARRY_VERSION='"1.2.3"'`). */
export const VERSION = typeof OPENSTARRY_VERSION === 'string' ? OPENSTARRY_VERSION : '0.0.0-dev';
