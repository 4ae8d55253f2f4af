// Command probe uses tiles as its argument says.
package main

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	switch os.Args[1] {
	case "good": // many goroutines, preempted by signals of the runtime
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				var from, to [1024]byte
				for i := range from {
					from[i] = byte(i + g)
				}
				for range 50 {
					clear(to[:])
					if copyTile(&to[0], &from[0]); to != from {
						os.Exit(3)
					}
				}
			})
		}
		all.Wait()
	case "unreleased":
		configure()
	case "unconfigured":
		zero()
	case "wall": // the last row ends where memory does
		m, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err == nil {
			err = unix.Mprotect(m[4096:], unix.PROT_NONE)
		}
		if err != nil {
			os.Exit(3)
		}
		var to [1024]byte
		copyTile(&to[0], &m[4096-1024])
		os.Stdout.WriteString("so far ")
		copyTile(&to[0], (*byte)(unsafe.Add(unsafe.Pointer(&m[0]), 4096-1023)))
	}
}

//go:noescape
func copyTile(to, from *byte)

func configure()

func zero()
