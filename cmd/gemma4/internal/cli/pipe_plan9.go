package cli

import "syscall"

// brokenPipe is the error of writing what nobody reads any more.
const brokenPipe = syscall.ErrorString("write on closed pipe")
