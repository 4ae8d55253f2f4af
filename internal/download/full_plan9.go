package download

import "strings"

// full reports whether an error says that there is no room on a disk.
func full(err error) bool { return err != nil && strings.Contains(err.Error(), "file system full") }
