// `provost completion bash|zsh|fish`: completion scripts, made from the commands themselves.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import { CliError } from './cli-error.ts';
import { contextOf, type Finish } from './context.ts';

/** Adds `completion` to the program; call it last, so that it knows every command. */
export function addCompletion(program: Command, finish: Finish): void {
  program
    .command('completion')
    .summary('print a completion script for bash, zsh or fish')
    .argument('<shell>')
    .addHelpText(
      'before',
      '\nExamples:\n  provost completion bash > /etc/bash_completion.d/provost\n  provost completion fish | source\n',
    )
    .action((shell: string, _flags: unknown, command: Command) => {
      contextOf(command).out.line(script(program, shell));
      finish(exitStatus.done);
    });
}

function script(program: Command, shell: string): string {
  switch (shell) {
    case 'bash':
      return bashScript(program);
    case 'zsh':
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(program)}`;
    case 'fish':
      return fishScript(program);
    default:
      throw new CliError('CLI_USAGE', `there is no completion for '${shell.slice(0, 20)}'`, {
        exit: exitStatus.usage,
        hint: 'Choose bash, zsh or fish.',
      });
  }
}

const longFlags = (command: Command): string[] =>
  command.options.flatMap(({ long }) => (long === undefined ? [] : [long]));
const names = (command: Command): string[] => command.commands.map((sub) => sub.name());

function bashScript(program: Command): string {
  const cases = program.commands.map(
    (command) => `    ${command.name()}) words="${[...names(command), ...longFlags(command)].join(' ')}" ;;`,
  );
  return [
    '_provost() {',
    '  local words="" cur="${COMP_WORDS[COMP_CWORD]}"',
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    `    *) words="${names(program).join(' ')}" ;;`,
    '  esac',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    words="${names(program).join(' ')}"`,
    '  fi',
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    '}',
    'complete -o default -F _provost provost',
  ].join('\n');
}

function fishScript(program: Command): string {
  const lines = program.commands.flatMap((command) => [
    `complete -c provost -n __fish_use_subcommand -a ${command.name()} -d '${command.summary().replaceAll("'", '’')}'`,
    ...longFlags(command).map(
      (flag) => `complete -c provost -n '__fish_seen_subcommand_from ${command.name()}' -l ${flag.slice(2)}`,
    ),
    ...names(command).map((sub) => `complete -c provost -n '__fish_seen_subcommand_from ${command.name()}' -a ${sub}`),
  ]);
  return lines.join('\n');
}
