import { z } from 'zod';

export const stale = z
  .boolean()
  .meta({ description: 'True while Temporal cannot be reached: this may have been overtaken' });
