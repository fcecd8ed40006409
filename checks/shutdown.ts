import { downSeconds, nodes } from '../inventory';
import { longestGrace } from '../values/grace';
import { sentence } from '../values/problem';
import type { Check } from './finding';

/** On shutdown, the kubelet must give every pod time to end, and Proxmox must wait for the kubelet. */
export const shutdown: Check = {
  name: 'shutdown',
  needs: ['homelab'],
  find: ({ rendering, homelab }) => {
    const { shutdownGracePeriod, shutdownGracePeriodCriticalPods } = homelab!.talos;
    const critical = shutdownGracePeriodCriticalPods.toSeconds();
    const grace = shutdownGracePeriod.toSeconds();
    const longest = longestGrace(rendering.map(({ object }) => object));
    const slowest = rendering.find(({ object }) => longestGrace([object]) === longest);
    const tooShort = sentence({
      what: `talos.shutdownGracePeriod must outlast the slowest pod, ${slowest?.file} with ${longest} s, and the ${critical} s for critical pods`,
      got: `${grace} s`,
      fix: `write shutdownGracePeriod: Duration.seconds(${longest + critical + 60})`,
    });
    const pulledEarly = nodes(homelab!).flatMap(([name, machine]) => {
      const [down, needed] = [machine.down.toSeconds(), downSeconds(homelab!, machine)];
      if (down >= needed) return [];
      const message = sentence({
        what: `machines.${name}.down must leave Talos time after talos.shutdownGracePeriod; the bootstrap uses ${needed} s`,
        got: `${down} s`,
        fix: `write down: Duration.seconds(${needed})`,
      });
      return [{ severity: 'warning' as const, message }];
    });
    return [...(grace - critical < longest ? [{ severity: 'error' as const, message: tooShort }] : []), ...pulledEarly];
  },
};
