export { Agent, type AgentOptions, type Handler } from './agent.ts';
export { AgentManagerTool, type Action } from './agent-manager-tool.ts';
export type { AnswerOptions } from './answers.ts';
export { FUNCTIONS, type FunctionSchema } from './functions.ts';
export type { Beat } from './heartbeats.ts';
export type { Decision, Incident, ProposedAction, ProposeOptions, ReportOptions, Risk } from './incidents.ts';
export {
  Reject,
  Retry,
  type Json,
  type Message,
  type Outgoing,
  type Recipient,
  type SendOptions,
  type Sent,
} from './message.ts';
export type { HandlerContext } from './receiver.ts';
export { RestTransport, type RestOptions } from './rest-transport.ts';
export { run, type AgentObject } from './run.ts';
export type { PutOptions, StateEntry, StateScope } from './state.ts';
export type { EventHandler, SubscribeOptions, Subscription, TopicEvent } from './subscription.ts';
export * from './types.ts';
