/** Bytes of a size as qm accepts it: 100G, 512M, 528K. */
export function bytes(text: string): number {
  const [, number = '0', unit = ''] = /^([\d.]+)([KMGT]?)/.exec(text) ?? [];
  return Number(number) * 1024 ** ('KMGT'.indexOf(unit || ' ') + 1);
}
