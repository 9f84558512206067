/** What `config check` says of a configuration file that can be read. */
export interface ConfigCheck {
  /** True if every agent can be put together with its template. */
  ok: boolean;
  config_file: string;
  agents: CheckedAgent[];
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
