#!/usr/bin/env bats
# requires jq
# SPDX-License-Identifier: Apache-2.0
#
# --help, the shells' completions and the man page name the same verbs and options.

load ../lib/helpers

# Prints the verbs of the help, a line each; subcommands with both words.
verbs() {
	varve --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z]*\)\{0,1\}\).*/\1/p' | sed 's/ *$//'
}

# options_of VERB: prints the options of the verb, or the global ones for "", as "--name" lines.
options_of() {
	# shellcheck disable=SC2086
	varve $1 --help | sed -n '/^Options/,/^$/s/^  \(-., \|    \)--\([a-z-]*\).*/--\2/p'
}

# complete_bash WORD…: prints what bash would offer for the last word.
complete_bash() {
	PATH=$VARVE_BUILD:$PATH bash -c '
		eval "$(varve completion bash)"
		COMP_WORDS=(varve "$@") COMP_CWORD=$#
		_varve
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

@test "each shell's completion offers every verb and option of the help" {
	[[ $(verbs | wc -l) -gt 20 ]]
	for shell in bash fish zsh; do
		varve completion "$shell" > "$BATS_TEST_TMPDIR/$shell"
	done
	[[ $(complete_bash "" | sort) == $(verbs | cut -d' ' -f1 | sort -u) ]]
	grep -o -e '-l [a-z-]*' "$BATS_TEST_TMPDIR/fish" | sed 's/-l /--/' | sort -u > "$BATS_TEST_TMPDIR/fish-options"
	while read -r verb; do
		{ options_of "$verb"; options_of ""; } | sort -u > "$BATS_TEST_TMPDIR/wanted"
		# shellcheck disable=SC2086
		complete_bash $verb -- | sort -u > "$BATS_TEST_TMPDIR/offered"
		lacking=$(comm -23 "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/offered")
		lacking+=$(comm -23 "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/fish-options")
		[[ -z $lacking ]] || { echo "$verb: $lacking"; false; }
		grep -qF "'$verb -'*)" "$BATS_TEST_TMPDIR/zsh"
		grep -qE -e "-a ${verb#* } -d" "$BATS_TEST_TMPDIR/fish"
	done < <(verbs)
	run -2 varve completion tcsh
	[[ $output == "varve: completion: no completion for shell 'tcsh' (bash, fish or zsh)"* ]]
}

@test "bash completion finishes verbs, subcommands and options, and offers no word for an option's value" {
	[[ $(complete_bash --json pr) == prune ]]
	[[ $(complete_bash lease "" | xargs) == "ls create rm need" ]]
	[[ $(complete_bash -H somewhere lease c) == create ]]
	[[ $(complete_bash prune --keep-storage "") == "" ]]
	[[ $(complete_bash prune --filter inu) == inuse== ]]
	[[ $(complete_bash prune --fil) == --filter ]]
	# -n and -f take a value in some verbs only.
	[[ $(complete_bash ls -n --al) == --all && $(complete_bash events -f --si) == --since && $(complete_bash top -n "") == "" ]]
}

# complete_fish LINE: prints what fish offers for the last word.
complete_fish() {
	# shellcheck disable=SC2016
	(cd "$BATS_TEST_TMPDIR" && PATH=$VARVE_BUILD:$PATH fish --no-config -c 'varve completion fish | source; complete -C $argv[1]' "$1") | cut -f 1
}

@test "fish offers verbs, subcommands and options of the verb at hand, and of no other" {
	command -v fish > /dev/null || skip_for fish "fish is not installed"
	[[ $(complete_fish "varve pr") == prune ]]
	[[ $(complete_fish "varve --json -o x pr") == prune ]]
	[[ $(complete_fish "varve lease " | sort | xargs) == "create ls need rm" ]]
	[[ $(complete_fish "varve lease create --exp") == --expires ]]
	# ls and prune are verbs, too, with options that these have not.
	[[ $(complete_fish "varve ls --al") == --all && $(complete_fish "varve lease ls --al") == "" ]]
	[[ $(complete_fish "varve prune --keep-s") == --keep-storage && $(complete_fish "varve images prune --keep-s") == "" ]]
	[[ $(complete_fish "varve images --unr") == --unread-for ]]
	[[ $(complete_fish "varve prune --filter inu") == inuse== ]]
}

@test "zsh completes verbs, subcommands and options where they are typed" {
	command -v zsh > /dev/null || skip_for zsh "zsh is not installed"
	PATH=$VARVE_BUILD:$PATH HOME=$BATS_TEST_TMPDIR TERM=xterm run -0 "$BATS_TEST_DIRNAME/../lib/terminal_session.py" 24x80 \
		'key:autoload\x20-U\x20compinit;compinit\x20-u\x20-D;source\x20<(varve\x20completion\x20zsh);echo\x20re""ady\r wait:ready
			key:varve\x20vers\t\r wait:varved: key:varve\x20lease\x20cr\t--hel\t\r wait:holder key:exit\r' zsh -f -i
}

@test "the help of each command shows an example of it" {
	while read -r verb; do
		# shellcheck disable=SC2086
		varve $verb --help | grep -A1 '^Example:' | grep -q "varve $verb" || { echo "no example: $verb"; false; }
	done < <(verbs)
}

@test "each shell can parse its completion script" {
	varve completion bash | bash -n
	! command -v zsh || varve completion zsh | zsh -n
	! command -v fish || varve completion fish | fish -n
}

@test "the man page lists every verb and option of the help" {
	page=$BATS_TEST_DIRNAME/../../doc/varve.1.scd
	while read -r verb; do
		grep -qE "\*${verb//\//.}[* ]|\*${verb% *}\* .*\*${verb#* }\*" "$page" || { echo "no $verb"; false; }
		for option in $(options_of "$verb"); do
			grep -q -e "$option\b" "$page" || { echo "no $verb $option"; false; }
		done
	done < <(verbs; echo)
}
