package mmap

import (
	"fmt"
	"runtime/debug"
)

// Guard calls f and turns a fault in mapped memory, which a file that became shorter or a disk that fails gives, into
// an error. Without it the program would end.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface {
			error
			Addr() uintptr
		})
		if !ok {
			panic(r)
		}
		err = fmt.Errorf("the mapped file cannot be read any more, it was cut short or its disk fails: %w", fault)
	}()
	return f()
}
