/** What `openstarry-daemon doctor` has found. */
export interface DoctorView {
  /** True if nothing has failed; warnings may be there. */
  ok: boolean;
  checks: DoctorCheck[];
}

export interface DoctorCheck {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  /** What was seen. */
  says: string;
  /** What to do about it. */
  way_out?: string;
}
