//go:build linux && amd64

// Command tiles runs a program on a Linux machine without AMX: the program's tile instructions trap, and are carried out here. It knows
// LDTILECFG, STTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILELOADDT1, TILESTORED and TDPBF16PS.
//
//	go build -o /tmp/tiles ./internal/cmd/tiles && go test -exec /tmp/tiles -run Tile ./internal/kernels
//
// Processor flags cannot be faked, so the environment variable GEMMA4_TILES tells the program, "emulated". Each thread has its own tiles.
// What the unit refuses raises the signal that it would raise. A thread that ends without TILERELEASE is reported, and makes the run fail.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: tiles program arguments…")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tiles:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run traces a program to its end and returns its exit code.
func run(args []string) (code int, err error) {
	runtime.LockOSThread() // all requests must come from the thread that began
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "GEMMA4_TILES=emulated")
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	main := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(main, &status, 0, nil); err != nil {
		return 0, err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC |
		unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(main, options); err != nil {
		return 0, err
	}
	forward := make(chan os.Signal, 8)
	signal.Notify(forward, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	go func() {
		for s := range forward {
			unix.Kill(main, s.(unix.Signal))
		}
	}()

	threads := map[int]*unit{main: {}}
	for thread, sig := main, 0; ; {
		if err := unix.PtraceCont(thread, sig); err != nil && err != unix.ESRCH { // ESRCH: killed in the meantime
			return 0, err
		}
		for { // until a thread stops
			thread, err = unix.Wait4(-1, &status, unix.WALL, nil)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return 0, err
			}
			if status.Stopped() {
				break
			}
			if threads[thread].configured() {
				fmt.Fprintf(os.Stderr, "tiles: thread %d ended without TILERELEASE\n", thread)
				code = 1
			}
			delete(threads, thread)
			switch {
			case thread != main:
			case status.Signaled():
				return 128 + int(status.Signal()), nil
			default:
				return max(code, status.ExitStatus()), nil
			}
		}
		sig = int(status.StopSignal())
		switch {
		case threads[thread] == nil: // a new thread begins with SIGSTOP
			threads[thread] = &unit{}
			sig = 0
		case status.TrapCause() > 0:
			if status.TrapCause() == unix.PTRACE_EVENT_EXEC {
				*threads[thread] = unit{}
			}
			sig = 0
		case status.StopSignal() == unix.SIGILL:
			if sig, err = carryOut(thread, threads[thread]); err != nil {
				return 0, err
			}
		}
	}
}

// carryOut executes instructions of a stopped thread as long as they are the unit's. It returns the signal to go on with.
func carryOut(thread int, u *unit) (sig int, err error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return 0, err
	}
	m := process(thread)
	begin := regs.Rip
	for {
		code := make([]byte, 16)
		if _, err := m.copy([][]byte{code}, regs.Rip, 0, false); err != nil { // the page ends
			clear(code)
			m.copy([][]byte{code[:min(16, 4096-regs.Rip%4096)]}, regs.Rip, 0, false)
		}
		i, ok := decode(code, &regs)
		if ok {
			err = u.execute(i, m)
		} else if err = errUndefined; regs.Rip != begin {
			err = errForeign
		}
		var f fault
		switch {
		case err == nil:
			regs.Rip += uint64(i.length)
			continue
		case err == errForeign:
		case err == errUndefined:
			sig = int(unix.SIGILL)
		case errors.As(err, &f):
			sig = int(unix.SIGSEGV)
			if err := f.raise(thread); err != nil {
				return 0, err
			}
		default:
			return 0, err
		}
		return sig, unix.PtraceSetRegs(thread, &regs)
	}
}

// errForeign: the next instruction is not the unit's.
var errForeign = errors.New("another instruction")

// raise makes the signal that a thread stopped for a SIGSEGV.
func (f fault) raise(thread int) error {
	var info [128]byte
	binary.LittleEndian.PutUint32(info[0:], uint32(unix.SIGSEGV))
	binary.LittleEndian.PutUint32(info[8:], f.code)
	binary.LittleEndian.PutUint64(info[16:], f.address)
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETSIGINFO, uintptr(thread), 0, uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// process is the memory of a process.
type process int

func (p process) copy(rows [][]byte, address, stride uint64, write bool) (copied int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	move := unix.ProcessVMReadv
	if write {
		move = unix.ProcessVMWritev
	}
	local, remote := make([]unix.Iovec, len(rows)), make([]unix.RemoteIovec, len(rows))
	for r, b := range rows {
		local[r].Base = &b[0]
		local[r].SetLen(len(b))
		remote[r] = unix.RemoteIovec{Base: uintptr(address + uint64(r)*stride), Len: len(b)}
	}
	n, err := move(int(p), local, remote, 0)
	size := len(rows[0])
	if err == unix.EFAULT || err == nil && n < len(rows)*size {
		const unmapped = 1 // SEGV_MAPERR
		n = max(n, 0)
		return n / size, fault{unmapped, address + uint64(n/size)*stride + uint64(n%size)}
	}
	return len(rows), err
}
