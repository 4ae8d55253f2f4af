# Types each argument, a command line, and Tab at an interactive zsh, and prints what is shown, the line as it became in angles.
zmodload zsh/zpty
zpty -b shell zsh -f -i
await() {
	local part all
	for i in {1..1000}; do
		while zpty -rt shell part; do all+=$part; done
		[[ $all == *$~1* ]] && break
		sleep 0.01
	done
	reply=$all
}
zpty -w shell 'stty rows 50 columns 200; autoload -Uz compinit && compinit -u -D && source <(gemma4 completion zsh)
unsetopt prompt_cr prompt_sp; PS1= RPS1=; shown() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N shown; bindkey "^T" shown; print rea""dy'
await ready
for line; do
	zpty -w -n shell "$line"$'\t'$'\C-T'
	await '<gemma4*>'
	print -r -- "$reply"
	print -r -- ----
done
zpty -d shell
