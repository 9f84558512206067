import { Command } from 'commander';
import { addAgentCommands } from './commands/agents.ts';
import { addCompletion } from './completion.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDaemonCommands } from './commands/daemon.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addIncidentCommands } from './commands/incidents.ts';
import { addMessageCommands } from './commands/messages.ts';
import { addNotifyCommands } from './commands/notify.ts';
import { addQueueCommands } from './commands/queues.ts';
import { addRunCommands } from './commands/runs.ts';
import { addScheduleCommands } from './commands/schedules.ts';
import { addServiceCommands } from './commands/service.ts';
import { addSessionCommands } from './commands/sessions.ts';
import { addStartCommands } from './commands/start.ts';
import { addStateCommands } from './commands/state.ts';
import { addTopicCommands } from './commands/topics.ts';
import { ownVersion } from './version.ts';

const EXAMPLES = `
Examples:
  openstarry-daemon start                                      run with ./openstarry.yaml, or the quickstart
  openstarry-daemon start -d                                   the same in the background
  openstarry-daemon doctor
  openstarry-daemon status
  openstarry-daemon agents spawn w1 --template DataAnalystAgent_v1 --task "Summarise the logs"
  openstarry-daemon agents logs -f w1
  openstarry-daemon schedules add w1 "0 9 * * *"
  openstarry-daemon sessions send w1 "How far are you?" --wait 30s
  openstarry-daemon stop

Environment:
  OPENSTARRY_HOME   the state directory, ~/.openstarry by default

Exit codes: 0 done, 2 wrong use, 3 not found or not running, 4 not allowed, 5 conflict, 6 cannot work, 7 try again later,
78 fail-stop. With --json, answers go to stdout and errors to stderr, both as JSON.`;

export function createProgram(): Command {
  const program = new Command('openstarry-daemon')
    .description('The init/systemd of AI agents')
    .version(ownVersion())
    .option('--json', 'print JSON, for programs')
    .option('--url <url>', 'talk to the daemon at this address instead of the local one')
    .option('--token-file <file>', 'where the admin token is, if not in the state directory')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', EXAMPLES);
  addStartCommands(program);
  addDaemonCommands(program);
  addDoctorCommand(program);
  addAgentCommands(program);
  addRunCommands(program);
  addScheduleCommands(program);
  addSessionCommands(program);
  addMessageCommands(program);
  addQueueCommands(program);
  addTopicCommands(program);
  addStateCommands(program);
  addIncidentCommands(program);
  addNotifyCommands(program);
  addConfigCommands(program);
  addServiceCommands(program);
  addCompletion(program);
  return program;
}
