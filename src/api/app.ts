import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginCallback,
} from 'fastify';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { CodedError, ERRORS } from '../contract/errors.ts';
import { agentRoutes } from './routes/agents.ts';
import { authenticate } from './authentication.ts';
import { checkHost, checkOrigin } from './caller-origin.ts';
import { bulkRoutes } from './routes/bulk.ts';
import { CommandLimit } from './command-limit.ts';
import { daemonRoutes } from './routes/daemon.ts';
import type { ApiDeps } from './deps.ts';
import { documentationRoutes } from './routes/documentation.ts';
import { errorBody, errorHandler, notFoundHandler } from './error-reply.ts';
import { eventRoute } from './routes/events.ts';
import { answerOnce } from './idempotency.ts';
import { onlyJson } from './json-body.ts';
import { incidentRoutes } from './routes/incidents.ts';
import { logRoute } from './routes/logs.ts';
import { messageRoutes } from './routes/messages.ts';
import { documentRoutes } from './openapi.ts';
import { queueRoutes } from './routes/queues.ts';
import { validatorOf } from './request-schema.ts';
import { healthRoute, metricsRoute } from './routes/probes.ts';
import { endWaitsEarly, logRequests, requestIdOf } from './request-context.ts';
import { RouteMethods } from './route-methods.ts';
import { stateRoutes } from './routes/state.ts';
import { runRoutes } from './routes/runs.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { templateRoutes } from './routes/templates.ts';
import { topicRoutes } from './routes/topics.ts';

const BODY_LIMIT_BYTES = 256 * 1024;
/** How long requests under way may take to answer once the server closes. */
const DRAIN_MS = 2000;

/** The REST API, with health and metrics on it too. It listens by `listen`; tests use `inject`. */
export function buildApi(deps: ApiDeps): FastifyInstance {
  const app = createApp(deps.log.child({ part: 'api' }));
  logRequests(app, deps.log.child({ part: 'api' }));
  app.addHook('onResponse', async (request, reply) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: String(reply.statusCode),
    };
    deps.metrics.requestSeconds.observe(labels, reply.elapsedTime / 1000);
  });
  guard(app, deps);
  answerOnce(app, deps.answers);
  documentRoutes(app, deps.daemon.facts().version);
  const limit = new CommandLimit(deps.commandLimit);
  app.register(agentRoutes(deps, limit));
  app.register(bulkRoutes(deps, limit));
  app.register(eventRoute(deps));
  app.register(logRoute(deps));
  app.register(daemonRoutes(deps));
  app.register(incidentRoutes(deps, limit));
  app.register(messageRoutes(deps));
  app.register(queueRoutes(deps));
  app.register(topicRoutes(deps));
  app.register(stateRoutes(deps));
  app.register(templateRoutes(deps));
  app.register(scheduleRoutes(deps));
  app.register(runRoutes(deps));
  app.register(healthRoute(deps));
  app.register(metricsRoute(deps));
  app.register(documentationRoutes());
  return app;
}

/** `/healthz` alone, for a port of its own. */
export function buildHealthApp(deps: Pick<ApiDeps, 'fleet' | 'temporal' | 'log'>): FastifyInstance {
  return createProbeApp(deps.log, healthRoute(deps));
}

/** `/metrics` alone, for a port of its own. */
export function buildMetricsApp(deps: Pick<ApiDeps, 'metrics' | 'log'>): FastifyInstance {
  return createProbeApp(deps.log, metricsRoute(deps));
}

function createProbeApp(log: Logger, route: FastifyPluginCallback): FastifyInstance {
  const app = createApp(log.child({ part: 'probes' }));
  app.register(route);
  return app;
}

function createApp(log: Logger): FastifyInstance {
  const app: FastifyInstance = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // `logRequests` writes one line where fastify would write two.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    // From the first byte of a request to its last. What is sent back may take as long as it likes.
    requestTimeout: 30_000,
    keepAliveTimeout: 5000,
    http: { headersTimeout: 10_000 },
    forceCloseConnections: true,
    genReqId: requestIdOf,
    requestIdHeader: false,
    // A key of 256 characters, each of them encoded.
    routerOptions: { maxParamLength: 1000 },
    frameworkErrors: (error, request, reply) => {
      request.refusal = null;
      errorHandler(error, request, reply.header('x-request-id', request.id));
    },
    clientErrorHandler: answerMalformed,
  });
  app.decorateRequest('caller', null);
  app.decorateRequest('gone', null);
  app.decorateRequest('refusal', null);
  app.decorateRequest('once', null);
  app.decorateRequest('bodyDigest', '');
  app.setValidatorCompiler(validatorOf);
  app.setErrorHandler(errorHandler);
  const methods = new RouteMethods();
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) methods.add(each, url);
  });
  app.setNotFoundHandler(notFoundHandler((path) => methods.of(path)));
  onlyJson(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  endWaitsEarly(app, DRAIN_MS);
  return app;
}

/** Host, Origin, token, phase: in this order, before a byte of the body is read. */
function guard(app: FastifyInstance, { auth, daemon }: ApiDeps): void {
  app.addHook('onRequest', async (request) => {
    const { host, origin, authorization } = request.headers;
    const { open, public: isPublic, untilTheEnd } = request.routeOptions.config;
    if (open !== true) {
      checkHost(host);
      checkOrigin(origin, host);
      if (isPublic !== true) request.caller = authenticate(authorization, auth);
    }
    const changes = request.method !== 'GET' && request.method !== 'HEAD' && untilTheEnd !== true;
    if (changes && daemon.facts().phase === 'shutdown')
      throw new CodedError('SHUTTING_DOWN', 'The daemon is going down');
  });
}

/** What is not even HTTP has no request, so no hook and no log line; it gets the same shape all the same. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const why =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'its headers are larger than 16 KiB'
      : `it is not valid HTTP (${error.code ?? error.message})`;
  const refusal = new CodedError('INVALID_REQUEST', `Cannot read the request: ${why}`);
  const body = JSON.stringify(errorBody(refusal, 'none'));
  const head = `HTTP/1.1 ${ERRORS.INVALID_REQUEST.status} Bad Request\r\nContent-Type: application/json; charset=utf-8`;
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
}
