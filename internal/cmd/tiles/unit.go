//go:build linux && amd64

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// The unit as Intel's Architectures Software Developer's Manual describes it, volume 2, instructions L to T.

// unit is the tile state of a thread.
type unit struct {
	config [64]byte // of which byte 0 is the palette; 0 is the initial state
	tiles  [8][16][64]byte
}

func (u *unit) configured() bool { return u != nil && u.config[0] != 0 }

func (u *unit) rows(t int) int { return int(u.config[48+t]) }
func (u *unit) size(t int) int { return int(binary.LittleEndian.Uint16(u.config[16+2*t:])) } // bytes of a row

// memory is that of the thread's process. Rows of one length are copied from or to it, stride bytes apart; those before a fault are.
type memory interface {
	copy(rows [][]byte, address, stride uint64, write bool) (copied int, err error)
}

// fault is a reason for a SIGSEGV: a page or, with code protection, another.
type fault struct {
	code    uint32
	address uint64
}

const protection = 0x80 // SI_KERNEL, of #GP

func (f fault) Error() string { return fmt.Sprintf("fault at %#x", f.address) }

// errUndefined is #UD.
var errUndefined = errors.New("undefined instruction")

// operation is what an instruction does.
type operation int

const (
	loadConfig operation = iota
	storeConfig
	release
	zero
	load
	store
	dotBF16
)

// instruction is one of the unit's, decoded.
type instruction struct {
	operation       operation
	length          int
	t, a, b         int    // tiles: destination or stored one, sources
	address, stride uint64 // of memory
}

// decode decodes the instruction at regs.Rip, of which code has 16 bytes.
func decode(code []byte, regs *unix.PtraceRegs) (i instruction, ok bool) {
	if code[0] != 0xC4 || code[1]&0x1F != 2 || code[2]&0x84 != 0 { // VEX, map 0F38, W 0, L 0
		return i, false
	}
	extend, v, prefix := ^code[1]>>5, int(^code[2]>>3&15), code[2]&3
	opcode, mod, reg, rm := code[3], code[4]>>6, int(code[4]>>3&7|extend>>2<<3), int(code[4]&7)
	i.length, i.t = 5, reg
	const none, p66, pF3, pF2 = 0, 1, 2, 3
	switch {
	case opcode == 0x5C && prefix == pF2-1 && mod == 3:
		i.operation, i.a, i.b = dotBF16, rm|int(extend&1)<<3, v
		return i, reg < 8 && i.a < 8 && v < 8
	case v != 0 || reg > 7:
		return i, false
	case opcode == 0x49 && prefix == none && code[4] == 0xC0:
		i.operation = release
		return i, true
	case opcode == 0x49 && prefix == pF2 && mod == 3 && rm == 0:
		i.operation = zero
		return i, true
	case opcode == 0x49 && prefix == none && mod < 3 && reg == 0:
		i.operation = loadConfig
	case opcode == 0x49 && prefix == p66 && mod < 3 && reg == 0:
		i.operation = storeConfig
	case opcode == 0x4B && (prefix == pF2 || prefix == p66) && mod < 3 && rm == 4: // p66 is the T1 hint
		i.operation = load
	case opcode == 0x4B && prefix == pF3 && mod < 3 && rm == 4:
		i.operation = store
	default:
		return i, false
	}
	// Memory: [base + index·scale + displacement], or relative to the next instruction.
	general := [16]uint64{regs.Rax, regs.Rcx, regs.Rdx, regs.Rbx, regs.Rsp, regs.Rbp, regs.Rsi, regs.Rdi,
		regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15}
	base, relative := rm, mod == 0 && rm == 5
	if rm == 4 {
		sib := code[5]
		i.length++
		base = int(sib & 7)
		if index := sib>>3&7 | extend>>1&1<<3; index != 4 {
			i.stride = general[index] << (sib >> 6)
		}
	}
	switch {
	case mod == 1:
		i.address = uint64(int8(code[i.length]))
		i.length++
	case mod == 2 || base == 5 && mod == 0:
		i.address = uint64(int32(binary.LittleEndian.Uint32(code[i.length:])))
		i.length += 4
	}
	switch {
	case relative:
		i.address += regs.Rip + uint64(i.length)
	case mod > 0 || base != 5:
		i.address += general[base|int(extend&1)<<3]
	}
	if i.operation == loadConfig || i.operation == storeConfig {
		i.address += i.stride
	}
	return i, true
}

// execute does what an instruction does, or returns why it cannot.
func (u *unit) execute(i instruction, m memory) error {
	switch i.operation {
	case loadConfig:
		var c [64]byte
		if _, err := m.copy([][]byte{c[:]}, i.address, 0, false); err != nil {
			return err
		}
		return u.configure(c)
	case storeConfig:
		_, err := m.copy([][]byte{u.config[:]}, i.address, 0, true)
		return err
	case release:
		*u = unit{}
		return nil
	}
	tiles := []int{i.t}
	if i.operation == dotBF16 {
		tiles = []int{i.t, i.a, i.b}
	}
	for _, t := range tiles {
		if !u.configured() || u.rows(t) == 0 {
			return errUndefined
		}
	}
	first := &u.config[1] // row to begin with
	switch i.operation {
	case zero:
		u.tiles[i.t] = [16][64]byte{}
	case load, store:
		t, from := &u.tiles[i.t], min(int(*first), 16)
		var rows [][]byte
		for r := from; r < u.rows(i.t); r++ {
			rows = append(rows, t[r][:u.size(i.t)])
		}
		if i.operation == load {
			clear(t[from:])
		}
		copied, err := m.copy(rows, i.address+uint64(from)*i.stride, i.stride, i.operation == store)
		if err != nil {
			*first = byte(from + copied)
			return err
		}
	case dotBF16:
		if i.t == i.a || i.t == i.b || i.a == i.b || *first != 0 || u.size(i.t)%4+u.size(i.a)%4+u.size(i.b)%4 != 0 ||
			u.rows(i.t) != u.rows(i.a) || u.size(i.t) != u.size(i.b) || u.size(i.a) != 4*u.rows(i.b) {
			return errUndefined
		}
		u.dot(&u.tiles[i.t], &u.tiles[i.a], &u.tiles[i.b], u.rows(i.a), u.size(i.a)/4, u.size(i.b)/4)
	}
	*first = 0
	return nil
}

func (u *unit) configure(c [64]byte) error {
	if c[0] == 0 {
		*u = unit{}
		return nil
	}
	bad := c[0] != 1
	for _, reserved := range [][]byte{c[2:16], c[32:48], c[56:]} {
		for _, v := range reserved {
			bad = bad || v != 0
		}
	}
	next := unit{config: c}
	for t := range u.tiles {
		rows, size := next.rows(t), next.size(t)
		bad = bad || rows > 16 || size > 64 || (rows == 0) != (size == 0)
	}
	if bad {
		return fault{code: protection}
	}
	*u = next
	return nil
}

// dot adds a · b to c: rows × columns sums over pairs. Even and odd products are summed apart before they are added. Subnormal operands
// and results are zeros.
func (u *unit) dot(c, a, b *[16][64]byte, rows, pairs, columns int) {
	var right [16][2][16]float64
	for k := range pairs {
		for n := range columns {
			right[k][0][n], right[k][1][n] = fromBF16(b[k][4*n:]), fromBF16(b[k][4*n+2:])
		}
	}
	for r := range rows {
		var sums [2][16]float64
		for k := range pairs {
			for odd := range 2 {
				x, y, s := fromBF16(a[r][4*k+2*odd:]), &right[k][odd], &sums[odd]
				for n := range y {
					// The product is exact. Its sum with a float32 is rounded to 53 bits, then to 24: the same as at once,
					// for 53 ≥ 2·24 + 2.
					s[n] = round(x*y[n] + s[n])
				}
			}
		}
		for n := range columns {
			p := c[r][4*n:]
			old := round(float64(math.Float32frombits(binary.LittleEndian.Uint32(p))))
			sum := round(old + round(sums[0][n]+sums[1][n]))
			binary.LittleEndian.PutUint32(p, math.Float32bits(float32(sum)))
		}
		clear(c[r][4*columns:])
	}
	clear(c[rows:])
}

func fromBF16(b []byte) float64 {
	return round(float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)))
}

// round rounds to a normal float32, or zero.
func round(x float64) float64 {
	bits := math.Float32bits(float32(x))
	if bits&0x7F800000 == 0 {
		bits &= 0x80000000
	}
	return float64(math.Float32frombits(bits))
}
