import { readFileSync } from 'node:fs';
import path from 'node:path';
import { inject, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Service {
  image: string;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
}

it('docker-compose.yml names images by version, listens on loopback only and waits for what exists', () => {
  const text = readFileSync(path.join(inject('root'), 'docker-compose.yml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
  for (const [name, service] of Object.entries(services)) {
    expect(service.image, name).toMatch(/:\$\{[A-Z_]+:-\d[\d.]*\}$/);
    for (const port of service.ports ?? []) expect(port, name).toMatch(/^127\.0\.0\.1:/);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(Object.keys(services), name).toContain(other);
      if (condition === 'service_healthy') expect(services[other]?.healthcheck, other).toBeDefined();
    }
  }
});
