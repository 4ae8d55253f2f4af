# Completion of gemma4 for fish.
function __gemma4_complete
    set -l words (commandline -opc)
    set -l found ($words[1] completion fish $words[2..] (commandline -ct | string unescape) 2>/dev/null)
    for line in $found
        if string match -q ':files *' -- $line
            __fish_complete_suffix (string replace -r '^:files \*' '' -- $line)
        else
            echo -- $line
        end
    end
end
complete -c gemma4 -f -a '(__gemma4_complete)'
