import { gitAddress, gitAddressProblem } from '../../values/git-address';

test.each([
  ['https://github.com/owner/homelab.git', { protocol: 'https', host: 'github.com', port: 443 }],
  ['https://Git.home.arpa:3000/owner/homelab', { protocol: 'https', host: 'git.home.arpa', port: 3000 }],
  ['ssh://git@git.home.arpa:2222/owner/homelab.git', { protocol: 'ssh', host: 'git.home.arpa', port: 2222 }],
  ['ssh://git@git.home.arpa/owner/homelab.git', { protocol: 'ssh', host: 'git.home.arpa', port: 22 }],
  ['ssh://git@192.168.1.40:22/srv/git/homelab.git', { protocol: 'ssh', host: '192.168.1.40', port: 22 }],
  ['git@github.com:owner/homelab.git', { protocol: 'ssh', host: 'github.com', port: 22 }],
  ['forgejo@nas:/srv/git/homelab.git', { protocol: 'ssh', host: 'nas', port: 22 }],
  ['git@git.home.arpa:2222.git', { protocol: 'ssh', host: 'git.home.arpa', port: 22 }],
  ['file:///srv/git/homelab.git', { protocol: 'file' }],
])('parses %s', (url, address) => {
  expect(gitAddressProblem(url, 'git.url')).toBeUndefined();
  expect(gitAddress(url)).toEqual(address);
});

test.each([
  [
    'git@git.home.arpa:2222/owner/homelab.git',
    /^git\.url must be an ssh:\/\/ address when it has a port, .* write ssh:\/\/git@git\.home\.arpa:2222\/owner\/homelab\.git for a port, or ssh:\/\/git@git\.home\.arpa\/2222\/owner\/homelab\.git for a folder$/,
  ],
  ['ssh://git.home.arpa:2222/owner/homelab.git', /must name the user .* ssh:\/\/git@git\.home\.arpa:2222\/owner/],
  ['ssh://git:secret@git.home.arpa/owner/homelab.git', /must name the user to log in as, without a password/],
  ['https://git.home.arpa:0/owner/homelab.git', /the port of git\.url must be a port, got 0/],
  ['https://git.home.arpa:/owner/homelab.git', /the port of git\.url must be a port/],
  ['https://git.home.arpa:65536/owner/homelab.git', /the port of git\.url must be a port, got 65536/],
  ['https://192.168.1.400/owner/homelab.git', /the host of git\.url must be a DNS name or an IPv4 address/],
  ['https://git_server/owner/homelab.git', /the host of git\.url must be a DNS name or an IPv4 address/],
  ['https://nas.local/owner/homelab.git', /must be a server that pods and nodes can reach.*multicast/],
  ['https://127.0.0.1:3000/owner/homelab.git', /must be a server that pods and nodes can reach/],
  ['https://gitea.git.svc.cluster.local/owner/homelab.git', /the cluster's own DNS answers for cluster\.local/],
  ['https://github.com', /must be an address that Argo CD can clone/],
  ['http://git.home.arpa:3000/owner/homelab.git', /must be an address whose server authenticates itself/],
  ['git://git.home.arpa/owner/homelab.git', /must be an address whose server authenticates itself/],
  ['https://github.com/owner/my repo', /must be an address that Argo CD can clone/],
  ['ssh://git@[fd00::1]:2222/owner/homelab.git', /must be an address that Argo CD can clone/],
  ['https://github.com/owner/homelab.git?ref=main', /must be an address that Argo CD can clone/],
  ['file://homelab', /must be an address that Argo CD can clone/],
  ['', /must be an address that Argo CD can clone/],
  [undefined, /must be an address that Argo CD can clone, got nothing/],
])('rejects %s with a fix', (url, message) => {
  expect(gitAddressProblem(url, 'git.url')).toMatch(message);
});

test('rejects a login in the address without printing it', () => {
  const problem = gitAddressProblem('https://me:ghp_secret@git.home.arpa:3000/owner/homelab.git', 'git.url');
  expect(problem).toMatch(/must not contain a login.* write https:\/\/git\.home\.arpa:3000\/owner\/homelab\.git;/);
  expect(problem).not.toContain('ghp_secret');
});
