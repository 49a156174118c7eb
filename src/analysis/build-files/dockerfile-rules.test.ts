import { describe, expect, it } from 'vitest';

import { judgeBuildFiles } from '../index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const PINNED = `alpine:3.20@${DIGEST}`;
const GITHUB_TOKEN = `ghp_${'a1B2'.repeat(9)}`;

/** `rule:line` of everything that is found in a Dockerfile, beside an ignore file. */
function found(text: string, path = 'Dockerfile'): string[] {
  const files = [
    { path, bytes: Buffer.from(text) },
    { path: '.dockerignore', bytes: Buffer.from('.git\n') },
  ];
  return judgeBuildFiles(files).findings.map(({ rule, line }) => `${rule}:${line}`);
}

/** The lines in an image that is otherwise clean: they begin at line 2. */
const within = (lines: string): string => `FROM ${PINNED}\n${lines}\nUSER 1000\n`;

/** Rule, the line of the refused text in the file, refused text, its nearest accepted one. */
const CASES: readonly (readonly [rule: string, line: number, refused: string, accepted: string])[] = [
  ['shell.remote-script', 2, 'RUN curl -fsSL https://a.test/x | sh', 'RUN curl -fsSL https://a.test/x | tar xz'],
  ['shell.remote-script', 2, 'RUN wget -qO- x | /usr/bin/env bash -s -- -y', 'RUN wget -qO- x | sha256sum -c'],
  ['shell.remote-script', 2, 'RUN bash <(curl -s x)', 'RUN diff <(curl -s x) y'],
  ['shell.remote-script', 2, 'RUN sh -c "$(curl -s x)"', 'RUN sh -c "echo x"'],
  ['shell.remote-script', 2, 'RUN sh -c "`curl -s x`"', 'RUN echo "`curl -s x`"'],
  ['shell.remote-script', 2, `RUN bash -c 'curl x | sh'`, `RUN echo 'curl x | sh'`],
  ['shell.remote-script', 2, 'RUN eval "$(wget -O - x)"', 'RUN eval "$(ssh-agent)"'],
  ['shell.remote-script', 2, 'RUN . <(curl x)', 'RUN . ./x'],
  ['shell.remote-script', 2, 'RUN $(curl x)', 'RUN V=$(curl x)'],
  ['shell.remote-script', 2, 'RUN bash <<< "$(curl x)"', 'RUN cat <<< "$(curl x)"'],
  ['shell.remote-script', 2, 'RUN curl x | tee >(sh)', 'RUN curl x | tee >(cat)'],
  ['shell.remote-script', 2, 'RUN curl x | python3 -', `RUN curl x | python3 -c 'import json'`],
  ['shell.remote-script', 2, 'RUN python3 -c "$(curl x)"', 'RUN python3 tool.py "$(curl x)"'],
  ['shell.remote-script', 2, 'RUN curl x | gunzip | sh', 'RUN curl x | gunzip > y; sh z'],
  ['shell.remote-script', 2, 'RUN (cd /tmp; curl x) | sh', 'RUN (cd /tmp; curl x); sh z'],
  ['shell.remote-script', 2, 'RUN { curl x; } | { cat; sh; }', 'RUN { curl x; } | { cat; tar x; }'],
  ['shell.remote-script', 2, 'RUN for u in a b; do curl $u; done | bash', 'RUN for u in a b; do curl $u; done | cat'],
  ['shell.remote-script', 2, 'RUN if true; then curl x; fi |& sh', 'RUN if true; then curl x; fi || sh y'],
  ['shell.remote-script', 2, 'RUN ["sh", "-c", "curl x | sh"]', 'RUN ["curl", "x", "| sh"]'],
  ['shell.remote-script', 2, 'RUN [ -f a ] && curl x | sh', 'RUN [ -f a ] && curl x'],
  ['shell.remote-script', 2, 'CMD curl x | sh', 'CMD curl x'],
  ['shell.remote-script', 2, 'ENTRYPOINT ["sh","-c","curl x|sh"]', 'ENTRYPOINT ["sh"]'],
  [
    'shell.remote-script',
    2,
    'HEALTHCHECK --interval=5s CMD curl x | sh',
    'HEALTHCHECK --interval=5s CMD curl x || exit 1',
  ],
  ['shell.remote-script', 2, 'ONBUILD RUN curl x | sh', 'ONBUILD RUN curl x'],
  ['shell.remote-script', 2, 'RUN iwr x | iex', 'RUN iwr x'],
  [
    'shell.unverified-script',
    2,
    'RUN curl -fo /tmp/i.sh x && sh /tmp/i.sh',
    'RUN curl -fo /tmp/i.sh x && cat /tmp/i.sh',
  ],
  [
    'shell.unverified-script',
    2,
    'RUN curl --output=i x; chmod +x i; ./i',
    'RUN curl --output=i x; sha256sum -c l; ./i',
  ],
  [
    'shell.unverified-script',
    3,
    'RUN wget https://a.test/i.sh?x\nRUN bash -e i.sh',
    'RUN wget https://a.test/i.sh?x\nRUN bash -e j.sh',
  ],
  [
    'shell.unverified-script',
    3,
    'RUN curl -O https://a.test/node\nRUN ./node',
    'RUN curl https://a.test/node\nRUN ./node',
  ],
  ['shell.unverified-script', 2, 'RUN wget x -O /usr/bin/y && y -h', 'RUN wget x -O /usr/share/y && y -h'],
  ['shell.unverified-script', 3, 'RUN curl x > i.py\nRUN python3 i.py', 'RUN cat x > i.py\nRUN python3 i.py'],
  ['shell.unverified-script', 2, 'RUN curl -o i x; env A=b ./i', 'RUN curl -o i x; env A=b ./j'],
  ['shell.unverified-script', 2, 'RUN curl -o i x 2>&1; . ./i', 'RUN curl -o - x 2>&1; . ./1'],
  ['shell.verification-off', 2, 'RUN apt-get install -y --allow-unauthenticated a=1', 'RUN apt-get install -y a=1'],
  [
    'shell.verification-off',
    2,
    'RUN apt-get -o Acquire::AllowInsecureRepositories=true update',
    'RUN apt-get -o Acquire::Retries=3 update',
  ],
  ['shell.verification-off', 2, 'RUN wget --no-check-cert x', 'RUN wget --no-check x'],
  ['shell.verification-off', 2, 'RUN curl -fsSLk x', 'RUN curl -fsSL x'],
  ['shell.verification-off', 2, 'RUN curl -k x', 'RUN curl -ok x'],
  ['shell.verification-off', 2, 'RUN curl --insecure x', 'RUN curl --include x'],
  ['shell.verification-off', 2, 'RUN pip install --trusted-host a.test x', 'RUN pip install x'],
  ['shell.verification-off', 2, 'RUN npm i --unsafe-perm', 'RUN npm i'],
  ['shell.verification-off', 2, 'RUN npm config set strict-ssl false', 'RUN npm config set strict-ssl true'],
  ['shell.verification-off', 2, 'RUN gpg --no-verify x', 'RUN git commit --no-verify'],
  ['shell.verification-off', 2, 'RUN apk add --allow-untrusted x', 'RUN apk add x'],
  ['shell.verification-off', 2, 'RUN dnf install --nogpgcheck x', 'RUN dnf install x'],
  ['shell.verification-off', 2, 'RUN git -c http.sslVerify=false clone x', 'RUN git -c http.sslVerify=true clone x'],
  [
    'shell.verification-off',
    2,
    'RUN git config --global http.sslVerify false',
    'RUN git config --global http.sslVerify true',
  ],
  ['shell.verification-off', 2, 'ENV NODE_TLS_REJECT_UNAUTHORIZED=0', 'ENV NODE_TLS_REJECT_UNAUTHORIZED=1'],
  ['shell.verification-off', 2, 'RUN GIT_SSL_NO_VERIFY=1 git clone x', 'RUN GIT_SSL_NO_VERIFY= git clone x'],
  ['shell.privileged', 2, 'RUN --security=insecure make', 'RUN --security=sandbox make'],
  ['shell.privileged', 2, 'RUN --network=host make', 'RUN --network=none make'],
  ['shell.privileged', 2, 'RUN docker run --privileged x', 'RUN docker run x'],
  ['shell.world-writable', 2, 'RUN chmod -R 777 /a', 'RUN chmod -R 775 /a'],
  ['shell.world-writable', 2, 'RUN chmod 0777 /a', 'RUN chmod 1777 /a'],
  ['shell.world-writable', 2, 'RUN chmod a+rwx /a', 'RUN chmod u+rwx /a'],
  ['shell.world-writable', 2, 'COPY --chmod=777 a b', 'COPY --chmod=755 a b'],
  ['dockerfile.add-remote', 2, 'ADD https://a.test/x /', `ADD --checksum=${DIGEST} https://a.test/x /`],
  ['dockerfile.add-remote', 2, 'ADD HTTP://a.test/x /', 'ADD http.txt /'],
  ['dockerfile.add-remote', 2, 'ADD ["https://a.test/x", "/"]', 'ADD ["x", "https"]'],
  ['dockerfile.add-remote', 2, 'ADD git@a.test:b/c.git#main /', `ADD git@a.test:b/c.git#${'a'.repeat(40)} /`],
  ['dockerfile.add-remote', 3, 'ARG U=https://a.test\nADD $U/x /', 'ARG U=a\nADD $U/x /'],
  ['dockerfile.add-remote', 2, 'ADD $U /', 'ADD u /'],
  ['file.secret-setting', 2, 'ENV DB_PASSWORD=hunter2', 'ENV DB_PASSWORD_FILE=/run/secrets/db'],
  ['file.secret-setting', 2, 'ENV DB_PASSWORD hunter2', 'ENV DB_PASSWORD ""'],
  ['file.secret-setting', 2, 'ENV A=b apiKey="x y"', 'ENV A=b apiName="x y"'],
  ['file.secret-setting', 2, 'ARG NPM_TOKEN=abc', 'ARG NPM_TOKEN'],
  ['file.secret-setting', 3, 'ARG P=hunter2\nENV DB_PASSWORD=$P', 'ARG P\nENV DB_PASSWORD=$P'],
  ['file.secret-setting', 2, 'RUN export TOKEN=abc && make', 'RUN export TOKEN=$(cat /run/secrets/t) && make'],
  ['file.secret-setting', 2, 'RUN tool --token=100', 'RUN tool --max-tokens=100'],
  ['file.secret-setting', 2, 'RUN tool --password=abc', 'RUN tool --password-file=abc'],
  ['file.secret-setting', 2, 'RUN git clone https://a:b@c.test/d', 'RUN git clone https://a:$B@c.test/d'],
  ['file.secret', 2, `LABEL a=${GITHUB_TOKEN}`, 'LABEL a=ghp_short'],
  ['file.secret', 2, `# ${GITHUB_TOKEN}`, '# ghp_'],
  ['dockerfile.copy-secret', 2, 'COPY .env /app/', 'COPY .env.example /app/'],
  ['dockerfile.copy-secret', 2, 'COPY a .ssh/ /root/', 'COPY a ssh/ /root/'],
  ['dockerfile.copy-secret', 2, 'COPY keys/id_rsa /k', 'COPY keys/id_rsa.pub /k'],
  ['dockerfile.copy-secret', 2, 'COPY ["tls/server.key", "/k"]', 'COPY ["tls/server.crt", "/k"]'],
  ['dockerfile.copy-secret', 2, 'ADD .env.production /app/', 'ADD .envrc.txt /app/'],
  ['dockerfile.sudo', 2, 'RUN sudo make', 'RUN make sudo'],
  [
    'dockerfile.package-version',
    2,
    'RUN apt-get update && apt-get install -y a=1 b',
    'RUN apt-get install -y -t stable a=1 b=2',
  ],
  ['dockerfile.package-version', 2, 'RUN apt install a', 'RUN apt-get install ./a.deb'],
  ['dockerfile.image-tag', 2, 'COPY --from=busybox:1 /a /b', `COPY --from=busybox@${DIGEST} /a /b`],
  [
    'dockerfile.image-floating',
    2,
    'RUN --mount=type=bind,from=a,target=/b make',
    'RUN --mount=type=bind,target=/b make',
  ],
];

describe('in a clean image', () => {
  it.each(CASES)('finds %s at line %d of %j', (rule, line, refused) => {
    expect(found(within(refused))).toEqual([`${rule}:${line}`]);
  });

  it.each(CASES.map(([rule, , , accepted]) => [rule, accepted] as const))('finds no %s in %j', (_rule, accepted) => {
    expect(found(within(accepted))).toEqual([]);
  });
});

/** What is found, in a whole file. */
const FILES: readonly (readonly [name: string, text: string, found: readonly string[]])[] = [
  ['an image by digest', `FROM ${PINNED}\nUSER 1`, []],
  ['an image by tag', 'FROM alpine:3\nUSER 1', ['dockerfile.image-tag:1']],
  ['an image without tag', 'FROM alpine\nUSER 1', ['dockerfile.image-floating:1']],
  ['latest', 'FROM a.test:5000/b:latest\nUSER 1', ['dockerfile.image-floating:1']],
  ['a port that is no tag', 'FROM a.test:5000/b\nUSER 1', ['dockerfile.image-floating:1']],
  ['a digest that is cut', `FROM a@${DIGEST.slice(0, -1)}\nUSER 1`, ['dockerfile.image-floating:1']],
  ['scratch', 'FROM scratch\nUSER 1', []],
  ['an earlier stage', `FROM ${PINNED} AS Build\nFROM build\nUSER 1`, []],
  ['a later stage', `FROM build\nFROM ${PINNED} as build\nUSER 1`, ['dockerfile.image-floating:1']],
  ['a stage of its own name', 'FROM golang AS golang\nUSER 1', ['dockerfile.image-floating:1']],
  ['a platform', `FROM --platform=$BUILDPLATFORM ${PINNED}\nUSER 1`, []],
  ['an ARG that names a digest', `ARG D=${DIGEST}\nFROM a@$D\nUSER 1`, []],
  ['an ARG with a default', 'ARG V=3\nFROM alpine:${V}\nUSER 1', ['dockerfile.image-tag:2']],
  ['an ARG that names latest', 'ARG T=latest\nFROM a:"$T"\nUSER 1', ['dockerfile.image-floating:2']],
  ['a default in place', `FROM \${X:-a@${DIGEST}}\nUSER 1`, []],
  ['a default that is not needed', `ARG X=a@${DIGEST}\nFROM \${X:-b}\nUSER 1`, []],
  ['a default of an empty value', `ARG X=\nFROM \${X:-b}\nUSER 1`, ['dockerfile.image-floating:2']],
  ['an alternative without a value', `FROM ${PINNED}\nUSER \${U:+app}`, ['dockerfile.root:2']],
  ['a variable in single quotes', `ARG D=${DIGEST}\nFROM 'a@$D'\nUSER 1`, ['dockerfile.image-floating:2']],
  ['an escaped variable', `ARG U=1\nFROM ${PINNED}\nARG U\nUSER \\$U`, []],
  ['a default of a default', `FROM \${X:-\${Y:-a@${DIGEST}}}\nUSER 1`, []],
  ['an ARG without a value', 'ARG V\nFROM alpine:$V\nUSER 1', ['dockerfile.image-unresolvable:2']],
  ['an ARG of a stage', 'FROM scratch\nARG V=1\nFROM a:$V\nUSER 1', ['dockerfile.image-unresolvable:3']],
  ['a pattern on a variable', 'ARG V=1\nFROM a:${V%x}\nUSER 1', ['dockerfile.image-unresolvable:2']],
  ['an unknown name before a digest', `FROM $REGISTRY/a@${DIGEST}\nUSER 1`, []],
  ['an ARG that names itself', 'ARG A=$A$A\nFROM $A\nUSER 1', ['dockerfile.image-unresolvable:2']],
  ['a stage by number', `FROM ${PINNED}\nFROM scratch\nCOPY --from=0 /a /b\nUSER 1`, []],
  ['a stage by a number too high', 'FROM scratch\nCOPY --from=1 /a /b\nUSER 1', ['dockerfile.image-floating:2']],
  ['no user', `FROM ${PINNED}`, ['dockerfile.root:1']],
  ['root', `FROM ${PINNED}\nUSER root`, ['dockerfile.root:2']],
  ['0', `FROM ${PINNED}\nUSER 00:1000`, ['dockerfile.root:2']],
  ['root in quotes', `FROM ${PINNED}\nUSER "root"`, ['dockerfile.root:2']],
  ['root at last', `FROM ${PINNED}\nUSER 1\nUSER root`, ['dockerfile.root:3']],
  ['root at first', `FROM ${PINNED}\nUSER root\nUSER 1`, []],
  ['root in a stage before', `FROM ${PINNED}\nUSER 0\nFROM ${PINNED}\nUSER 1`, []],
  ['a user of a stage before', `FROM ${PINNED}\nUSER 1\nFROM ${PINNED}`, ['dockerfile.root:3']],
  ['a user of the parent stage', `FROM ${PINNED} AS a\nUSER 1\nFROM a`, []],
  ['a user by ARG', `FROM ${PINNED}\nARG U=app\nUSER $U`, []],
  ['root by ARG', `ARG U=0\nFROM ${PINNED}\nARG U\nUSER \${U}`, ['dockerfile.root:4']],
  ['an ENV that an ARG cannot change', `FROM ${PINNED}\nENV U=root\nARG U=app\nUSER $U`, ['dockerfile.root:4']],
  ['a user without a value', `FROM ${PINNED}\nUSER $U`, ['dockerfile.root:2']],
  ['a user by alternative', `FROM ${PINNED}\nENV U=1\nUSER \${U:+app}`, []],
  ['Docker’s own syntax', `# syntax=docker/dockerfile:1\nFROM ${PINNED}\nUSER 1`, []],
  ['a foreign syntax', `# syntax = a.test/dockerfile\nFROM ${PINNED}\nUSER 1`, ['dockerfile.frontend:1']],
  ['no FROM', 'RUN true', ['file.unreadable:1']],
  ['an empty file', '', ['file.unreadable:1']],
  ['an unknown instruction', `FROM ${PINNED}\nRUM true\nUSER 1`, ['file.unreadable:2']],
  ['ONBUILD ONBUILD', `FROM ${PINNED}\nONBUILD ONBUILD RUN a\nUSER 1`, ['file.unreadable:2']],
  ['an escape that is none', `# escape=x\nFROM ${PINNED}\nUSER 1`, ['file.unreadable:1']],
];

it.each(FILES)('judges %s', (_name, text, expected) => {
  expect(found(text)).toEqual(expected);
});

/** Ways to write `RUN curl x | sh` and `USER root` that hide it from a reader who looks at lines. */
const EVASIONS: readonly (readonly [name: string, text: string, found: readonly string[]])[] = [
  ['lower case', `from ${PINNED}\nrun curl x | sh\nuser 1`, ['shell.remote-script:2']],
  ['mixed case', `FrOm ${PINNED}\nRuN curl x | sh\nuSeR root`, ['shell.remote-script:2', 'dockerfile.root:3']],
  ['a continued line', within('RUN curl x \\\n  | sh'), ['shell.remote-script:3']],
  ['a continued word', within('RUN cu\\\nrl x | s\\\nh'), ['shell.remote-script:3']],
  ['a continued instruction', within('RU\\\nN curl x | sh'), ['shell.remote-script:3']],
  ['blanks after the escape', within('RUN curl x \\  \t\n  | sh'), ['shell.remote-script:3']],
  ['comments between', within('RUN curl x \\\n# a\n  # b\n\n  | sh'), ['shell.remote-script:6']],
  ['CRLF', within('RUN curl x \\\r\n  | sh\r'), ['shell.remote-script:3']],
  ['tabs', within('\tRUN\tcurl\tx\t|\tsh'), ['shell.remote-script:2']],
  ['a byte order mark', `\uFEFF${within('RUN curl x | sh')}`, ['shell.remote-script:2']],
  ['another escape', `# escape=\`\n${within('RUN curl x `\n | sh')}`, ['shell.remote-script:4']],
  ['another escape in another case', `#ESCAPE = \`\n${within('RUN curl x `\n | sh')}`, ['shell.remote-script:4']],
  ['an escape after a comment', `# a\n# escape=\`\n${within('RUN echo `\\\n | sh')}`, []],
  ['an escape of the escape', within('RUN echo \\\\\nUSER root'), ['file.unreadable:2']],
  ['a here-document', within('RUN <<EOF\ncurl x |\n  sh\nEOF'), ['shell.remote-script:4']],
  ['a here-document with tabs', within('RUN <<-"EOF"\n\tcurl x | sh\n\tEOF'), ['shell.remote-script:3']],
  ['a here-document for a shell', within('RUN bash -e <<EOF\ncurl x | sh\nEOF'), ['shell.remote-script:3']],
  ['two here-documents', within('COPY <<A <<B /\na\nA\nb\nB\nRUN curl x | sh'), ['shell.remote-script:7']],
  ['a here-document without end', within('RUN <<EOF\ncurl x | sh'), ['file.unreadable:2']],
  ['no here-document in quotes', within('RUN echo "a <<EOF b"\nUSER root\nRUN true \\\nEOF'), ['file.unreadable:2']],
  ['a numbered here-document', within('RUN cat 3<<EOF\nUSER root\nEOF'), ['file.unreadable:2']],
  ['a here-document without name', within('RUN cat << ; curl x | sh'), ['shell.remote-script:2']],
  ['quotes in names', within(`RUN c'u'rl x | "s"h`), ['shell.remote-script:2']],
  ['escapes in names', within('RUN c\\url x | s\\h'), ['shell.remote-script:2']],
  ['dollar quotes', within(`RUN $'curl' x | $"sh"`), ['shell.remote-script:2']],
  ['full paths', within('RUN /usr/bin/curl x | /bin/sh'), ['shell.remote-script:2']],
  ['prefixes', within('RUN nice -n 5 curl x | env A=b timeout 5 sh'), ['shell.remote-script:2']],
  ['a variable of the shell', within('RUN C=curl S=sh; $C x | $S'), ['shell.remote-script:2']],
  ['a variable of ARG', within('ARG C="curl x"\nRUN ${C} | sh'), ['shell.remote-script:3']],
  ['a variable that is set twice', within('RUN C=curl; $C https://a.test | sh; C=cat'), ['shell.remote-script:2']],
  ['an unknown variable', within('RUN $C https://a.test | sh'), ['shell.remote-script:2']],
  ['an unclosed quote', within(`RUN echo it's; curl x | sh`), ['shell.remote-script:2']],
  ['an unclosed double quote', within('RUN echo 5"; curl x | sh'), ['shell.remote-script:2']],
  ['an unclosed bracket', within('RUN echo $(curl x | sh'), ['shell.remote-script:2']],
  ['a script in a script', within(`RUN sh -c "bash -c 'curl x | sh'"`), ['shell.remote-script:2']],
  ['su', within(`RUN su app -c 'curl x | sh'`), ['shell.remote-script:2']],
  ['a function', within('RUN f() { curl x; }; f | sh'), ['shell.remote-script:2']],
  ['a function over lines', within('RUN <<EOF\nf ()\n{\ncurl x\n}\nf | sh\nEOF'), ['shell.remote-script:7']],
  ['a function that runs', within('RUN function run { cat | sh; }; curl x | run'), ['shell.remote-script:2']],
  ['a function of a function', within('RUN f() { curl x; }; g() (f); sh -c "$(g)"'), ['shell.remote-script:2']],
  ['a function that does neither', within('RUN f() { cat x; }; f | sh; curl x | f'), []],
  ['a group after a word', within('RUN A=(curl x); (curl x); sh y'), []],
  ['a comment of the shell', within('RUN true # curl x | sh'), []],
  ['a lone return', within('RUN true\rUSER root'), ['file.unreadable:1']],
  ['a vertical tab', within('USER\vroot'), ['file.unreadable:1']],
  ['text from right to left', within('RUN true # \u202E'), ['file.unreadable:1']],
];

it.each(EVASIONS)('is not deceived by %s', (_name, text, expected) => {
  expect(found(text)).toEqual(expected);
});

it('asks for an ignore file when the whole folder is copied', () => {
  const judge = (source: string, ignore: string | null): string[] =>
    judgeBuildFiles([
      { path: 'Dockerfile', bytes: Buffer.from(within(`COPY ${source} /app`)) },
      ...(ignore === null ? [] : [{ path: 'a/Dockerfile.dockerignore', bytes: Buffer.from(ignore) }]),
    ]).findings.map(({ rule, line }) => `${rule}:${line}`);
  expect(['.', './', '/', '*', './*'].map((source) => judge(source, null))).toEqual(
    Array.from({ length: 5 }, () => ['dockerfile.copy-all:2']),
  );
  expect([judge('src', null), judge('.', '*\n'), judge('--from=0 .', null)]).toEqual([[], [], []]);
  expect(judge('.', '# nothing\n\n')).toEqual(['dockerfile.copy-all:2']);
});
