/** What `config check` says of a configuration file that can be read. */
export interface ConfigCheck {
  /** True if every agent can be put together with its template, and the plugins are there. */
  ok: boolean;
  config_file: string;
  /** What messages and state would be kept by. They were found and looked at, not opened. */
  plugins: CheckedPlugin[];
  agents: CheckedAgent[];
}

export interface CheckedPlugin {
  kind: 'bus' | 'state';
  /** As in the file, or the one that is taken without it. */
  use: string;
  /** Why the daemon would not start with it. */
  problem: { code: string; message: string } | null;
}

export interface CheckedAgent {
  agent_id: string;
  template_id: string | null;
  fault_domain: string | null;
  /** As it is written: references stay references. */
  command: string[] | null;
  /** Why it cannot be started as it is described. */
  problem: { code: string; message: string } | null;
  /** What would make its start fail here and now, but may be otherwise where the daemon runs. */
  warnings: string[];
}
