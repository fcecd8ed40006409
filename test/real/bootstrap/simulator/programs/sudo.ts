import { program } from './program';

/** sudo without a password, as cloud-init gives it to the one user: the stand-in is root, and runs the rest in its place. */
export const sudo = [
  program(['ubuntu'], ['sudo'], ({ call }) => {
    const rest = [...call.argv];
    while (rest[0]?.startsWith('-')) if (rest.shift() === '--') break;
    const own = [
      'PATH=/sim/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ...['HOME=/root', 'USER=root', 'LOGNAME=root', 'SUDO_USER=homelab', `SIMULATION_MACHINE=${call.machine}`],
      `SIMULATION_SESSION=${call.env.SIMULATION_SESSION ?? ''}`,
    ];
    return { exec: '/usr/bin/env', argv: ['-i', ...own, ...rest] };
  }),
];
