import { homelabApp } from './charts';
import homelab from './homelab';
import { checks } from './checks';
import { publish } from './synth';

publish({ homelab, app: homelabApp(homelab), checks });
