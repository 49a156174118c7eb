// The rules that build files are judged by, as data: how bad, why, and what to do instead.
import type { Severity } from './finding.ts';

/** One rule; the texts are whole sentences for people. */
export interface BuildFileRule {
  readonly severity: Severity;
  readonly title: string;
  readonly why: string;
  readonly fix: string;
}

const rules = {
  'file.unreadable': {
    severity: 'critical',
    title: 'Build file cannot be read',
    why: 'What cannot be read without doubt cannot be judged, and a builder may read it in another way.',
    fix: 'Correct the file, so that every reader understands the same by it.',
  },
  'file.limit': {
    severity: 'critical',
    title: 'Build files go beyond a limit',
    why: 'What lies beyond the limit was not judged and may do anything.',
    fix: 'Make the file smaller and simpler, or split it.',
  },
  'file.secret': {
    severity: 'critical',
    title: 'Build file holds a token or key',
    why: 'A secret in a build file is known to everybody who can read the source or the history of the image.',
    fix: 'Revoke it now and hand it to the build as a secret mount or from the secret store of the CI system.',
  },
  'file.secret-setting': {
    severity: 'high',
    title: 'Secret setting has a literal value',
    why: 'A password that is written down in a build file is no secret, and it stays in the history.',
    fix: 'Hand it over as a secret mount, from the secret store of the CI system, or when the workload starts.',
  },
  'shell.remote-script': {
    severity: 'high',
    title: 'Download is run unseen',
    why: 'Whoever controls the server or the way to it decides what runs in the build, and may answer differently each time.',
    fix: 'Download to a file, compare its checksum or signature, and only then run it.',
  },
  'shell.unverified-script': {
    severity: 'medium',
    title: 'Downloaded file is run without verification',
    why: 'The file is whatever the server answered that day, and nothing would notice another one.',
    fix: 'Compare its checksum or signature before it is run: sha256sum --check, gpg --verify, cosign verify-blob.',
  },
  'shell.verification-off': {
    severity: 'high',
    title: 'Verification of a download or package is switched off',
    why: 'Without the check of certificate or signature anybody on the way can replace what is installed.',
    fix: 'Remove the option and install the certificate or key that is missing.',
  },
  'shell.privileged': {
    severity: 'high',
    title: 'Build step asks for privileges of the host',
    why: 'A step without confinement can change the machine that builds, and with it every later build.',
    fix: 'Remove the option, or do what needs it outside the build.',
  },
  'shell.world-writable': {
    severity: 'medium',
    title: 'Everybody may write to the file',
    why: 'Any process in the image can replace what others trust or run.',
    fix: 'Give the file to the user who needs it and write mode 755 or 644.',
  },
  'dockerfile.image-floating': {
    severity: 'high',
    title: 'Base image is whatever is newest',
    why: 'Without a tag, or with latest, each build may start from something else.',
    fix: 'Pin the image by digest: name:tag@sha256:….',
  },
  'dockerfile.image-tag': {
    severity: 'medium',
    title: 'Base image is pinned by tag only',
    why: 'A tag can be moved to another image at any time.',
    fix: 'Pin the image by digest: name:tag@sha256:….',
  },
  'dockerfile.image-unresolvable': {
    severity: 'high',
    title: 'Base image is not known from the file',
    why: 'The image is named by a variable without a default, so that whoever starts the build decides it.',
    fix: 'Give the ARG a default that names an image by digest.',
  },
  'dockerfile.frontend': {
    severity: 'high',
    title: 'Foreign syntax interprets the file',
    why: 'The image that a syntax line names is run to read the Dockerfile and may do anything with it.',
    fix: 'Use docker/dockerfile, or remove the line.',
  },
  'dockerfile.add-remote': {
    severity: 'high',
    title: 'ADD downloads without a checksum',
    why: 'What the address answers goes into the image unseen and may change each time.',
    fix: 'Write ADD --checksum=sha256:…, or the full commit for a repository.',
  },
  'dockerfile.copy-secret': {
    severity: 'high',
    title: 'File with secrets is copied into the image',
    why: 'Everybody who can pull the image can read the file, also when a later step deletes it.',
    fix: 'Use RUN --mount=type=secret and list the file in .dockerignore.',
  },
  'dockerfile.copy-all': {
    severity: 'low',
    title: 'Whole folder is copied without .dockerignore',
    why: 'History, local settings and secrets of the folder can get into the image by accident.',
    fix: 'Add a .dockerignore, or copy only what is needed.',
  },
  'dockerfile.root': {
    severity: 'medium',
    title: 'Image runs as root',
    why: 'A hole in the program gives root in the container, from where most ways out begin.',
    fix: 'Name another user by number at the end of the last stage: USER 65532.',
  },
  'dockerfile.sudo': {
    severity: 'low',
    title: 'Build uses sudo',
    why: 'A build step is root or must not be; sudo in an image gives its user a way back to root.',
    fix: 'Do what needs root before USER, and leave sudo out.',
  },
  'dockerfile.package-version': {
    severity: 'low',
    title: 'Packages are installed without a version',
    why: 'Each build may install something else, and nobody can tell afterwards what.',
    fix: 'Write name=version for each package.',
  },
  'workflow.action-unpinned': {
    severity: 'medium',
    title: 'Action is not pinned by commit',
    why: 'A tag or branch can be moved: whoever takes over the action then runs code in this workflow.',
    fix: 'Pin the action by its full commit of 40 digits, an image by digest.',
  },
  'workflow.injection': {
    severity: 'high',
    title: "Stranger's text becomes part of a script",
    why: 'The expression is replaced before the shell reads the line: a title or branch name can hold commands.',
    fix: 'Put the expression into env and use the variable in the script, quoted.',
  },
  'workflow.untrusted-checkout': {
    severity: 'critical',
    title: "Stranger's code is checked out with the rights of the repository",
    why: 'The trigger has write access and secrets, and the code of a pull request runs with them.',
    fix: 'Use the trigger pull_request, or split the workflow so that the privileged part runs no code of the request.',
  },
  'workflow.permissions-absent': {
    severity: 'medium',
    title: 'Workflow does not limit its token',
    why: 'Without permissions the token gets what the repository gives by default, which can be everything.',
    fix: 'Write permissions: {} for the workflow and for each job only what it needs.',
  },
  'workflow.permissions-all': {
    severity: 'high',
    title: 'Token may write everything',
    why: 'Any step, and whoever takes one over, can change code, releases and packages.',
    fix: 'Name the few permissions that the job needs.',
  },
  'workflow.secret-printed': {
    severity: 'high',
    title: 'Secret is printed',
    why: 'Masking in logs is best effort; an encoded or split secret is shown to everybody who can read the log.',
    fix: 'Hand the secret to the program through its environment or standard input, and print nothing of it.',
  },
  'workflow.secret-to-stranger': {
    severity: 'high',
    title: 'Secret is given to an action that can change',
    why: 'The owner of the action can replace it at any time and then has the secret.',
    fix: 'Pin the action by its full commit after reading it, and give it only the secrets that it needs.',
  },
  'workflow.self-hosted': {
    severity: 'high',
    title: 'Pull requests run on an own machine',
    why: 'Anybody can open a pull request, and what it runs can stay on the machine for later builds.',
    fix: 'Use hosted or single-use runners for pull requests.',
  },
  'workflow.persist-credentials': {
    severity: 'low',
    title: 'Checkout leaves the token on disk',
    why: 'Every later step, and an artifact of the folder, can read the token in .git/config.',
    fix: 'Write persist-credentials: false.',
  },
  'workflow.unsecure-commands': {
    severity: 'high',
    title: 'Unsecure workflow commands are allowed',
    why: 'Whatever a step prints can then set environment variables and PATH of later steps.',
    fix: 'Remove ACTIONS_ALLOW_UNSECURE_COMMANDS and write to the files GITHUB_ENV and GITHUB_PATH.',
  },
  'workflow.failure-ignored': {
    severity: 'low',
    title: 'Failed verification does not stop the workflow',
    why: 'A check whose failure changes nothing protects nothing.',
    fix: 'Remove continue-on-error from the step.',
  },
  'gitlab.image-unpinned': {
    severity: 'medium',
    title: 'Image of a job is not pinned by digest',
    why: 'A tag can be moved: the job then runs in something else, with its variables and token.',
    fix: 'Pin the image by digest: name:tag@sha256:….',
  },
  'gitlab.include-remote': {
    severity: 'high',
    title: 'Pipeline includes a file from another server',
    why: 'Whoever controls the address decides what the pipeline runs.',
    fix: 'Keep the file in a project and include it with ref and a commit, or add integrity.',
  },
} as const satisfies Readonly<Record<string, BuildFileRule>>;

/** The stable name of a rule. */
export type BuildFileRuleId = keyof typeof rules;

/** The rules for build files by their stable ids. */
export const buildFileRules: Readonly<Record<BuildFileRuleId, BuildFileRule>> = rules;

/** The ids in the order of the table. */
export const buildFileRuleIds = Object.keys(rules) as readonly BuildFileRuleId[];
