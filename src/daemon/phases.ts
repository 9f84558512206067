import type { DaemonPhase, PhaseMark } from '../contract/daemon-view.ts';

/** The phases of the daemon; each is reported when it begins. */
export class Phases {
  readonly marks: PhaseMark[] = [];
  private readonly onEnter: (mark: PhaseMark) => void;

  constructor(onEnter: (mark: PhaseMark) => void) {
    this.onEnter = onEnter;
    this.enter('init');
  }

  get current(): DaemonPhase {
    const phase = this.marks.findLast((mark) => mark.phase !== 'supervise')?.phase;
    return phase === undefined || phase === 'supervise' ? 'init' : phase;
  }

  enter(phase: PhaseMark['phase']): void {
    const mark = { phase, at: new Date().toISOString() };
    this.marks.push(mark);
    this.onEnter(mark);
  }
}
