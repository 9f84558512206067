/** This machine lacks something for the moment. */
export const SHORTAGES = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'] as const;
/** So does a disk. */
const OF_DISKS = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'ETXTBSY', 'EINTR'] as const;
/** The server of a file system that is mounted is away. */
const OF_MOUNTS = ['ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EHOSTUNREACH'] as const;

const PASSING: ReadonlySet<string> = new Set([...SHORTAGES, ...OF_DISKS, ...OF_MOUNTS]);

/** True if the same call may succeed later with nothing corrected: what failed with this system error is worth another try. */
export const isPassing = (errno: string | undefined): boolean => errno !== undefined && PASSING.has(errno);
