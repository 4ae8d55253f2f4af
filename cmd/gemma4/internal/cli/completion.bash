# Completion of gemma4 for bash.
_gemma4() {
	local IFS=$'\n' line word=${COMP_WORDS[COMP_CWORD]}
	[[ $word == [=:] ]] && word=
	COMPREPLY=()
	while read -r line; do
		if [[ $line == ':files '* ]]; then
			compopt -o filenames 2>/dev/null # bash 3 has none: there folders get no slash
			COMPREPLY+=($(compgen -d -- "$word"; compgen -f -X "!${line#:files }" -- "$word"))
		else
			COMPREPLY+=("${line%%$'\t'*}")
		fi
	done < <("$1" completion bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _gemma4 gemma4
