#compdef gemma4
# Completion of gemma4 for zsh.
_gemma4() {
	local -a found
	found=("${(@f)$("${(Q)words[1]}" completion zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
	local files
	if [[ $found[-1] == ':files '* ]]; then
		files=${found[-1]#:files }
		found[-1]=()
	fi
	if [[ -n $found[1] ]]; then
		found=("${(@)found//:/\\:}")
		found=("${(@)found/$'\t'/:}")
		_describe gemma4 found -o nosort
	fi
	if [[ -n $files ]]; then
		[[ $PREFIX == -* ]] && compset -P '*='
		_files -g $files
	fi
}
if [[ $funcstack[1] == _gemma4 ]]; then
	_gemma4 "$@" # as a file of $fpath
else
	compdef _gemma4 gemma4
fi
