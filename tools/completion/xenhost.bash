# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for bash: the program itself knows what may come next.
_xenhost()
{
	local line files=no

	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
		:files) files=yes ;;
		*) COMPREPLY+=("$line") ;;
		esac
	done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	[ $files = yes ] || return 0
	while IFS= read -r line; do
		COMPREPLY+=("$line")
	done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
	compopt -o filenames 2>/dev/null || :
}
complete -F _xenhost xenhost
