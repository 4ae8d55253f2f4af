package mmap

import "runtime/debug"

// Fault is the error of an access to mapped memory that the system could not deliver.
type Fault struct{ addr uintptr }

func (f Fault) Error() string {
	return "the mapped file cannot be read any more, it was cut short or its disk fails"
}

// Addr returns the address, or what the system tells of it.
func (f Fault) Addr() uintptr { return f.addr }

// Guard calls f and turns a fault in mapped memory, as caused by a file that became shorter or a disk that fails, into an error, a [Fault].
// Without it the program would end.
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
		err = Fault{fault.Addr()}
	}()
	return f()
}
