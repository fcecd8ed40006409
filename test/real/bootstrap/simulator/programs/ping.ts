import { addressUp } from '../life';
import { Failure, program } from './program';

export const ping = [
  program(['local', 'proxmox', 'ubuntu'], ['ping'], ({ state, call }) => {
    const address = call.argv.at(-1);
    if (address === undefined || address.startsWith('-'))
      throw new Failure('ping: usage error: Destination address required', 2);
    const head = `PING ${address} (${address}) 56(84) bytes of data.\n`;
    if (!addressUp(state, address))
      return {
        stdout: `${head}\n--- ${address} ping statistics ---\n1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n`,
        code: 1,
      };
    return `${head}64 bytes from ${address}: icmp_seq=1 ttl=64 time=0.3 ms\n\n--- ${address} ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\n`;
  }),
];
