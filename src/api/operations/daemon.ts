import { templatesView, templateView } from '../../schema/template-views.ts';
import { daemonView, hostList, reloadView, shutdownAnswer } from '../../schema/views.ts';
import { json, type Operations } from './operation.ts';

export const DAEMON_OPERATIONS: Operations = {
  'GET /hosts': {
    id: 'listHosts',
    tag: 'daemon',
    summary: 'The machines that run agents',
    answers: { 200: json('The hosts', hostList) },
  },
  'GET /status': {
    id: 'status',
    tag: 'daemon',
    summary: 'What the daemon is and does',
    answers: { 200: json('Its state', daemonView) },
  },
  'GET /templates': {
    id: 'listTemplates',
    tag: 'daemon',
    summary: 'What agents can be started from',
    answers: { 200: json('All templates of the Agent Design Layer', templatesView) },
    errors: ['DESIGN_LAYER_UNAVAILABLE'],
  },
  'GET /templates/:template_id': {
    id: 'getTemplate',
    tag: 'daemon',
    summary: 'One template: its variables, and which version it is',
    answers: { 200: json('The template', templateView) },
    errors: ['TEMPLATE_NOT_FOUND', 'TEMPLATE_INVALID', 'DESIGN_LAYER_UNAVAILABLE'],
  },
  'POST /reload': {
    id: 'reload',
    tag: 'daemon',
    summary: 'Read the configuration file again',
    description:
      'The file is checked as a whole first: one that is not valid changes nothing. Only what has changed is restarted, ' +
      'only what is gone from the file is deleted. `dry_run=true` only shows the difference.',
    answers: { 200: json('The difference', reloadView) },
    errors: ['CONFIG_INVALID', 'CONFIG_NOT_FOUND', 'TEMPORAL_UNAVAILABLE', 'NOT_READY', 'SHUTTING_DOWN'],
  },
  'POST /shutdown': {
    id: 'shutdown',
    tag: 'daemon',
    summary: 'Stop the daemon and, unless `keep_agents`, all agents in order',
    answers: { 202: json('It is going down', shutdownAnswer) },
    errors: ['FORBIDDEN'],
  },
};
