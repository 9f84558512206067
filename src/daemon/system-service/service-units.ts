/** The texts by which systemd and launchd run the daemon. Pure. */

export interface UnitFacts {
  scope: 'user' | 'system';
  node: string;
  /** `bin/openstarry-daemon.mjs` of this installation. */
  entry: string;
  /** The custodian's bundle. */
  custodian: string;
  /** Value of `OPENSTARRY_HOME`. */
  home: string;
  /** The configuration file. */
  config: string;
  /** Whom a system unit runs as. */
  user: string;
  /** Where agents find their programs. */
  path: string;
}

/** Further variables of the daemon, a `NAME=value` each line, as systemd reads it. It need not be there. */
export const environmentFileOf = (home: string): string => `${home}/orchestrator/service.env`;

export const CUSTODIAN_UNIT = 'openstarry-custodian.service';
export const DAEMON_UNIT = 'openstarry-daemon.service';
export const LAUNCHD_LABEL = 'com.openstarry.daemon';

/** Ends of the daemon that another start would not change: fail-stop, a wrong configuration, another daemon runs. */
const FINAL_EXITS = '78 2 5';

/**
 * The custodian has a unit of its own, so that neither a restart of the daemon's unit nor its death touches an agent.
 * `Delegate` gives it the cgroup below it, `KillMode=process` leaves the agents to it: it stops them in order on SIGTERM,
 * and when it dies itself they run on until the next one takes them over.
 */
export function custodianUnit(facts: UnitFacts): string {
  return unit([
    ['Unit', ['Description=OpenStarry custodian: the parent of all agents']],
    [
      'Service',
      [
        'Type=exec',
        `ExecStart=${command(facts.node, facts.custodian, '--state-dir', `${facts.home}/orchestrator`)}`,
        ...environment(facts),
        ...userOf(facts),
        'Delegate=yes',
        'KillMode=process',
        'TimeoutStopSec=infinity',
        'Restart=on-failure',
        'RestartSec=1',
        'OOMPolicy=continue',
        'UMask=0077',
      ],
    ],
    ['Install', [`WantedBy=${targetOf(facts)}`]],
  ]);
}

/** Stopping or restarting this unit leaves the agents running (SIGUSR2); `stop` of the custodian's ends them. */
export function daemonUnit(facts: UnitFacts): string {
  return unit([
    [
      'Unit',
      [
        'Description=OpenStarry Orchestrator Daemon',
        `Wants=${CUSTODIAN_UNIT}`,
        `After=${CUSTODIAN_UNIT} network.target`,
        'StartLimitIntervalSec=0',
      ],
    ],
    [
      'Service',
      [
        'Type=exec',
        `ExecStart=${command(facts.node, facts.entry, 'start', '--config', facts.config)}`,
        'ExecReload=kill -HUP $MAINPID',
        `WorkingDirectory=${escaped(facts.config.slice(0, facts.config.lastIndexOf('/')) || '/')}`,
        ...environment(facts),
        `EnvironmentFile=-${escaped(environmentFileOf(facts.home))}`,
        ...userOf(facts),
        'KillSignal=SIGUSR2',
        'KillMode=process',
        'TimeoutStopSec=60',
        'Restart=on-failure',
        'RestartSec=2',
        `RestartPreventExitStatus=${FINAL_EXITS}`,
        'UMask=0077',
      ],
    ],
    ['Install', [`WantedBy=${targetOf(facts)}`]],
  ]);
}

/** Untested: there has been no Mac to try it on. */
export function launchdPlist(facts: UnitFacts): string {
  const strings = [facts.node, facts.entry, 'start', '--config', facts.config].map(
    (text) => `    <string>${xml(text)}</string>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- UNTESTED: there has been no Mac to try it on. Exit 78 (fail-stop) is not told apart from a crash by launchd; the
     daemon then refuses to start until \`openstarry-daemon start --clear-failstop\`. -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${strings.join('\n')}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>OPENSTARRY_HOME</key><string>${xml(facts.home)}</string>
    <key>PATH</key><string>${xml(facts.path)}</string>
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>AbandonProcessGroup</key><true/>
</dict>
</plist>
`;
}

const unit = (sections: [name: string, lines: string[]][]): string =>
  sections.map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`).join('\n');

const targetOf = ({ scope }: UnitFacts): string => (scope === 'user' ? 'default.target' : 'multi-user.target');

const userOf = ({ scope, user }: UnitFacts): string[] => (scope === 'user' ? [] : [`User=${user}`]);

const environment = ({ home, path }: UnitFacts): string[] => [
  `Environment=${quoted(`OPENSTARRY_HOME=${home}`)}`,
  `Environment=${quoted(`PATH=${path}`)}`,
];

/** In a command line `$` begins a variable, everywhere `%` a specifier. */
const command = (...words: string[]): string => words.map((word) => quoted(word).replaceAll('$', '$$$$')).join(' ');

const quoted = (text: string): string => `"${escaped(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const escaped = (text: string): string => text.replaceAll('%', '%%');
const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
