const fs = require('node:fs');

module.exports = function teardown() {
  fs.rmSync(process.env.TMPDIR, { recursive: true, force: true });
};
