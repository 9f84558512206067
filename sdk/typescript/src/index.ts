export { AgentManagerTool, type Action } from './agent-manager-tool.ts';
export { FUNCTIONS, type FunctionSchema } from './functions.ts';
export { RestTransport, type RestOptions } from './rest-transport.ts';
export * from './types.ts';
