# Completion of gemma4 for fish.
function __gemma4_complete
    set -l words (commandline -opc)
    set -l found ($words[1] completion fish $words[2..] (commandline -ct | string unescape) 2>/dev/null)
    if string match -q ':files *' -- $found[1]
        __fish_complete_suffix (string replace -r '^:files \*' '' -- $found[1])
    else
        string join \n -- $found
    end
end
complete -c gemma4 -f -a '(__gemma4_complete)'
