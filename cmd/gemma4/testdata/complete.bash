# Prints what bash offers for a command line whose words are the arguments.
eval "$(gemma4 completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_gemma4 "$1"
printf '%s\n' "${COMPREPLY[@]}"
