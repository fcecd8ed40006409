import { cronProblem } from '../../values/cron';
import { timeZoneProblem } from '../../values/schedule';

/** What the parser of Kubernetes accepts (robfig/cron v3, ParseStandard), and a day that comes. */
test.each([
  '0 3 * * *',
  '*/15 * * * *',
  '5/10 0-6,22-23 1-31/2 jan-MAR mon,WED-fri',
  '? ? ? ? ?',
  '0 0 29 2 *',
  '0 0 31 2,3 *',
  // The day of the week is an alternative.
  '0 0 31 2 1',
  '@daily',
  '@hourly',
])('accepts %s', (schedule) => expect(cronProblem(schedule, 'schedule')).toBeUndefined());

test.each([
  [5, 'write it like'],
  ['', 'write five fields: it has 1'],
  ['0 3 * *', 'write five fields: it has 4'],
  ['0  3 * * *', 'put one space between two fields'],
  [' 0 3 * * *', 'put one space between two fields'],
  ['60 3 * * *', 'write 0 to 59 for the minute, not 60'],
  ['0 24 * * *', 'write 0 to 23 for the hour, not 24'],
  ['0 0 0 * *', 'write 1 to 31 for the day of the month, not 0'],
  ['0 0 * 13 *', 'write 1 to 12, or jan to dec for the month, not 13'],
  ['0 0 * * 7', 'write 0 to 6, or sun to sat for the day of the week, not 7: Sunday is 0'],
  ['0 0 * * sunday', 'write 0 to 6, or sun to sat for the day of the week, not sunday'],
  ['*/0 * * * *', 'write a step of at least 1 in the minute'],
  ['30-10 * * * *', 'turn 30-10 in the minute round'],
  ['0 0 L * *', 'write 1 to 31 for the day of the month, not L'],
  ['1-2-3 * * * *', 'correct "1-2-3" in the minute'],
  ['1,,2 * * * *', 'correct "" in the minute'],
  ['0 0 30 2 *', 'choose a day that exists'],
  ['0 0 31 4,6,9,11 ?', 'choose a day that exists'],
  ['TZ=Europe/Berlin 0 3 * * *', 'put the time zone into timeZone'],
  ['@every 1h', 'write the interval as fields'],
  ['@reboot', 'write the interval as fields'],
])('refuses %j', (schedule, fix) => expect(cronProblem(schedule, 'schedule')).toContain(fix));

test.each(['UTC', 'Etc/UTC', 'Europe/Berlin', 'Asia/Calcutta', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])(
  'accepts the time zone %s',
  (zone) => expect(timeZoneProblem(zone, 'timeZone')).toBeUndefined(),
);

test.each(['Local', 'local', '', 'Europe', 'Europe/Munich', 'europe/berlin', '+01:00', ' Europe/Berlin', 5])(
  'refuses the time zone %j',
  (zone) => expect(timeZoneProblem(zone, 'timeZone')).toContain('timeZone must be a time zone'),
);
