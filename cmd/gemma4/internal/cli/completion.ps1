# Completion of gemma4 for PowerShell.
Register-ArgumentCompleter -Native -CommandName gemma4 -ScriptBlock {
    param($word, $line, $cursor)
    $elements = $line.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursor }
    $words = @($elements | ForEach-Object { $_.Extent.Text.Trim('"', "'") })
    $program = $words[0]
    $words = @($words | Select-Object -Skip 1)
    if ($word -eq '') { $words += '""' } # older versions drop empty words
    & $program completion powershell @words 2>$null | ForEach-Object {
        if ($_.StartsWith(':files ')) {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($word)
        } else {
            $value, $does = $_ -split "`t", 2
            if (-not $does) { $does = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $does)
        }
    }
}
