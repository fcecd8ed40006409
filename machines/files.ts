/** Text by path below scripts/rendered/. */
export type MachineFiles = ReadonlyMap<string, string>;
