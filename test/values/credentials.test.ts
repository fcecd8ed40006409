import { credentialIn, credentialInArguments, credentialInFile } from '../../values/credentials';

/** Variables of public images, with values as their documentation shows them. */
const secrets: readonly [name: string, value: string][] = [
  ['POSTGRES_PASSWORD', 'mysecretpassword'],
  ['MYSQL_ROOT_PASSWORD', 'my-secret-pw'],
  ['MARIADB_ROOT_PASSWORD', 'example'],
  ['MONGO_INITDB_ROOT_PASSWORD', 'example'],
  ['REDIS_PASSWORD', 'hunter2'],
  ['RABBITMQ_DEFAULT_PASS', 'guest1'],
  ['GF_SECURITY_ADMIN_PASSWORD', 'grafana1'],
  ['KEYCLOAK_ADMIN_PASSWORD', 'change_me'],
  ['MINIO_ROOT_PASSWORD', 'minio123'],
  ['MINIO_SECRET_KEY', 'minio123'],
  ['AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  ['AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE'],
  ['SECRET_KEY_BASE', 'a-long-text-of-words'],
  ['RAILS_MASTER_KEY', 'abcdef'],
  ['JWT_SECRET', 'keyboard cat'],
  ['JWT_KEY', 'keyboard cat'],
  ['SESSION_SECRET', 'keyboard cat'],
  ['NEXTAUTH_SECRET', 'abc'],
  ['ENCRYPTION_KEY', 'abc'],
  ['N8N_ENCRYPTION_KEY', 'abc'],
  ['SYNAPSE_REGISTRATION_SHARED_SECRET', 'abc'],
  ['FORGEJO__security__SECRET_KEY', 'abc'],
  ['FORGEJO__mailer__PASSWD', 'abc'],
  ['ConnectionStrings__Password', 'abc'],
  ['spring.datasource.password', 'abc'],
  ['SPRING_DATASOURCE_PASSWORD', 'abc'],
  ['Jwt:SigningKey', 'abc'],
  ['smtpPassword', 'abc'],
  ['apiKey', 'abc'],
  ['OPENAI_API_KEY', 'sk-proj-abcdefghijklmnopqrstuvwx'],
  ['ANTHROPIC_API_KEY', 'abc'],
  ['STRIPE_SECRET_KEY', 'sk_live_abcdefgh'],
  ['SLACK_BOT_TOKEN', 'xoxb-123-abc'],
  ['SLACK_WEBHOOK', 'https://hooks.slack.com/services/T0/B0/abcdefgh'],
  ['TELEGRAM_BOT_TOKEN', '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw'],
  ['GITHUB_TOKEN', 'ghp_0123456789abcdefghijABCDEFGHIJ012345'],
  ['HF_TOKEN', 'hf_abcdefghijklmnopqrstuvwxyzABCDEFGH'],
  ['DATABASE_URL', 'postgres://app:s3cret@db:5432/app'],
  ['REDIS_URL', 'redis://:s3cret@redis:6379/0'],
  ['MONGO_URL', 'mongodb://u:p@mongo/rocketchat?replicaSet=rs0'],
  ['AMQP_URL', 'amqp://app:s3cret@broker:5672/'],
  ['APP_SEED', 'q7Vx2Lr9Tn4Wb8Yc1Kd6Mf3Hg5Jp0Zs'],
  ['COOKIE_SALT', '9f86d081884c7d659a2feaa0c55ad015'],
];

const harmless: readonly [name: string, value: string][] = [
  ['POSTGRES_PASSWORD_FILE', '/run/secrets/postgres-password'],
  ['POSTGRES_PASSWORD', '$(LEDGER_PASSWORD)'],
  ['JWT_SECRET', '${JWT_SECRET}'],
  ['MONGO_URL', 'mongodb://$(MONGODB_USERNAME):$(MONGODB_PASSWORD_IN_URI)@mongodb-0.mongodb:27017/app'],
  ['REDIS_URL', 'redis://redis:6379/0'],
  ['ROOT_URL', 'https://chat.example.org'],
  ['PRODUCT_CATALOG_SERVICE_ADDR', 'productcatalogservice:3550'],
  ['DISABLE_PROFILER', '1'],
  ['MAX_TOKENS', '4096'],
  ['TOKEN_TTL', '3600'],
  ['ACCESS_TOKEN', '15m'],
  ['USE_TOKEN', 'true'],
  ['CSRF_TOKEN', 'disabled'],
  ['OAUTH_TOKEN_URL', 'https://id.example.org/oauth/token'],
  ['TOKEN', 'https://id.example.org/oauth/token'],
  ['PWD', '/app'],
  ['CACHE_KEY', 'documents'],
  ['PARTITION_KEY', 'user_id'],
  ['SSH_PUBLIC_KEY', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'],
  ['ROUTING_KEY', 'events'],
  ['LOCALE', 'sk-SK'],
  ['BYPASS', 'localhost'],
  ['COMPASS', 'north'],
  ['TENANT_ID', '550e8400e29b41d4a716446655440000'],
  ['TENANT', '550e8400-e29b-41d4-a716-446655440000'],
  ['GIT_COMMIT', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
  ['IMAGE', 'ghcr.io/owner/x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['CHECKSUM', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['MODEL', 'qwen2.5:14b-instruct-q4_K_M'],
  ['MODEL', 'Meta-Llama-3-8B-Instruct-GGUF-Q4_K_M'],
  ['MODEL', 'mistralai/Mixtral-8x22B-Instruct-v0.1'],
  ['EMBEDDING_MODEL', 'nomic-embed-text-v2-moe'],
  ['LLM_MODEL', 'DeepSeek-R1-Distill-Qwen-32B'],
  ['JAVA_OPTS', '-Xmx512m -XX:+UseG1GC'],
  ['NODE_OPTIONS', '--max-old-space-size=384'],
  ['CLASS', 'org.example.collab.Notifications2HandlerFactory'],
  ['GREETING', 'hello-world-this-is-a-very-long-name-of-2-things'],
  ['FEATURES', 'thisIsAVeryLongCamelCaseNameOf2Things'],
  ['KAFKA_CLUSTER', 'MkU3OEVBNTcwNTJENDM2Qk'],
  ['TZ', 'Europe/Berlin'],
  ['CORS', 'https://a.example.org,https://b.example.org'],
  ['EMAIL', 'admin@example.org'],
  ['SMTP_USERNAME', 'notifications@example.org'],
  ['S3_ENDPOINT', 'http://192.168.1.40:9000'],
];

test.each(secrets)('%s=%s looks like a credential', (name, value) => {
  expect(credentialIn(name, value)).toBeDefined();
});

test.each(harmless)('%s=%s does not', (name, value) => {
  expect(credentialIn(name, value)).toBeUndefined();
});

test.each([
  [['--password=hunter2']],
  [['serve', '--db-password', 'hunter2']],
  [['-requirepass', 'x', '--token', 'abc']],
  [['curl', 'https://user:pass1@example.org']],
  [['--header', 'ghp_0123456789abcdefghijABCDEFGHIJ012345']],
])('the arguments %j hold a credential', (args) => {
  expect(credentialInArguments(args)).toBeDefined();
});

test.each([
  [['--password=$(DB_PASSWORD)']],
  [['--password', '$(DB_PASSWORD)']],
  [['--token-file', '/run/secrets/token']],
  [['--password', '--verbose']],
  [['sh', '-c', 'echo $TOKEN']],
  [['--port=8080', '--log-level', 'debug']],
  [['mongosh', '--nodb', '--norc', '--quiet', '/config/users.js']],
])('the arguments %j hold none', (args) => {
  expect(credentialInArguments(args)).toBeUndefined();
});

test.each([
  ['app.yaml', 'server:\n  port: 8080\nsmtp:\n  password: hunter2\n', 4],
  ['app.properties', '# comment\nspring.mail.password=hunter2', 2],
  ['config.json', '{\n  "apiKey": "abc123",\n  "port": 1\n}', 2],
  ['app.ini', '[mailer]\nPASSWD = `hunter2`', 2],
  ['tls.pem', '-----BEGIN PRIVATE KEY-----\nMIIE', 1],
  ['redis.conf', 'masterauth x\nurl redis://:s3cret@redis', 2],
  ['main.py', 'x = 1\nAPI_KEY = "abc123def"', 2],
])('%s holds a credential', (file, text, line) => {
  expect(credentialInFile(file, text)).toEqual({ line, why: expect.any(String) });
});

test.each([
  ['app.yaml', 'smtp:\n  password: ${SMTP_PASSWORD}\n  passwordFile: /run/secrets/smtp\n  token: {{ .Token }}\n'],
  ['app.yaml', '# password: hunter2\nsecret:\n  name: mail\nimagePullPolicy: Always\n'],
  ['app.js', 'const password = process.env.PASSWORD;\nuser.pwd = process.env[passwordFrom];'],
  ['run.sh', 'export PASSWORD="$(cat /run/secrets/password)"\ntoken=$1'],
  ['users.json', '{ "passwordFrom": "PASSWORD_CHAT", "usernameFrom": "USERNAME_CHAT" }'],
  ['prometheus.yml', 'scrape_configs:\n  - job_name: x\n    bearer_token_file: /var/run/token\n'],
])('%s holds none', (file, text) => {
  expect(credentialInFile(file, text)).toBeUndefined();
});
