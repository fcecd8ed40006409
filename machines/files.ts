/** Text of each file, by its path below scripts/rendered/. */
export type MachineFiles = ReadonlyMap<string, string>;
