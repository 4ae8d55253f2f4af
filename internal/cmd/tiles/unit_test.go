//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ram is memory from address 1000 on.
type ram []byte

func (m ram) copy(rows [][]byte, address, stride uint64, write bool) (int, error) {
	for r, b := range rows {
		at := address - 1000 + uint64(r)*stride
		if at > uint64(len(m)) || uint64(len(m))-at < uint64(len(b)) {
			return r, fault{1, address + uint64(r)*stride}
		}
		if write {
			copy(m[at:], b)
		} else {
			copy(b, m[at:])
		}
	}
	return len(rows), nil
}

// full is a configuration of eight whole tiles.
func full() (c [64]byte) {
	c[0] = 1
	for t := range 8 {
		c[16+2*t], c[48+t] = 64, 16
	}
	return c
}

// Encodings by GNU as decode to what was written.
func TestDecode(t *testing.T) {
	as, err := exec.LookPath("as")
	if err != nil {
		t.Skip(err)
	}
	names := []string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	regs := &unix.PtraceRegs{Rip: 1 << 40}
	for i, p := range []*uint64{&regs.Rax, &regs.Rcx, &regs.Rdx, &regs.Rbx, &regs.Rsp, &regs.Rbp, &regs.Rsi, &regs.Rdi,
		&regs.R8, &regs.R9, &regs.R10, &regs.R11, &regs.R12, &regs.R13, &regs.R14, &regs.R15} {
		*p = 1 << (i + 20)
	}
	var text strings.Builder
	var want []instruction
	add := func(i instruction, format string, args ...any) {
		fmt.Fprintf(&text, format+"\n", args...)
		want = append(want, i)
	}
	add(instruction{operation: release}, "tilerelease")
	for d := range 8 {
		add(instruction{operation: zero, t: d}, "tilezero %%tmm%d", d)
		for a := range 8 {
			for b := range 8 {
				if d != a && d != b && a != b {
					add(instruction{operation: dotBF16, t: d, a: a, b: b}, "tdpbf16ps %%tmm%d, %%tmm%d, %%tmm%d", b, a, d)
				}
			}
		}
	}
	for b, base := range names {
		for x, index := range names {
			for k, displacement := range []int{0, 8, -128, 4096, -70000} {
				i := instruction{t: (b + x) % 8, address: uint64(1<<(b+20) + displacement)}
				scale, memory := 1<<(k%4), fmt.Sprintf("%d(%%%s)", displacement, base)
				if index != "rsp" {
					i.stride = uint64(scale << (x + 20))
					memory = fmt.Sprintf("%d(%%%s,%%%s,%d)", displacement, base, index, scale)
				}
				i.operation = load
				add(i, "tileloadd %s, %%tmm%d", memory, i.t)
				add(i, "tileloaddt1 %s, %%tmm%d", memory, i.t)
				i.operation = store
				add(i, "tilestored %%tmm%d, %s", i.t, memory)
				i.operation, i.t, i.address = loadConfig, 0, i.address+i.stride
				add(i, "ldtilecfg %s", memory)
				i.operation = storeConfig
				add(i, "sttilecfg %s", memory)
			}
		}
	}
	add(instruction{operation: loadConfig, address: 77}, "ldtilecfg 77")
	add(instruction{operation: load, t: 1, address: 77, stride: 4 << 21}, "tileloadd 77(,%%rcx,4), %%tmm1")
	relative := len(want)
	add(instruction{operation: loadConfig}, "ldtilecfg 5(%%rip)")

	dir := t.TempDir()
	source, object, binary := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	if err := os.WriteFile(source, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(as, "-o", object, source).CombinedOutput(); err != nil {
		t.Skipf("as knows no tiles: %s", out)
	}
	if out, err := exec.Command("objcopy", "-O", "binary", "-j", ".text", object, binary).CombinedOutput(); err != nil {
		t.Skipf("objcopy: %v %s", err, out)
	}
	code, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text.String(), "\n")
	for n, w := range want {
		window := make([]byte, 16)
		copy(window, code)
		got, ok := decode(window, regs)
		if !ok {
			t.Fatalf("%s, % x, is not decoded", lines[n], window)
		}
		code = code[got.length:]
		if n == relative {
			w.address = regs.Rip + 5 + uint64(got.length)
		}
		if w.operation == loadConfig || w.operation == storeConfig {
			got.stride, w.stride = 0, 0
		}
		if got.length = 0; got != w {
			t.Fatalf("%s is %+v, want %+v", lines[n], got, w)
		}
	}
	if len(code) > 0 {
		t.Errorf("%d bytes are left", len(code))
	}
	for _, other := range []string{
		"c4e27049c0",   // vvvv in use
		"c4e2f849c0",   // W
		"c4e27c49c0",   // L
		"c4627b49c0",   // tile 8
		"c4e27b4bc0",   // a load from a register
		"c4e2735ec2",   // TDPBSSD
		"62f27c48130a", // EVEX
		"0f0b",         // UD2
	} {
		window := make([]byte, 16)
		for i := 0; i+1 < len(other); i += 2 {
			fmt.Sscanf(other[i:i+2], "%02x", &window[i/2])
		}
		if i, ok := decode(window, regs); ok {
			t.Errorf("%s is %+v, want another's instruction", other, i)
		}
	}
}

// exactly returns a·b + c rounded once, with subnormals as zeros.
func exactly(a, b, c float32) float32 {
	var x, y big.Float
	x.SetPrec(2000).SetFloat64(float64(a))
	y.SetPrec(2000).SetFloat64(float64(b))
	x.Mul(&x, &y)
	y.SetFloat64(float64(c))
	f, _ := x.Add(&x, &y).Float32()
	if math.Abs(float64(f)) < 0x1p-126 {
		return 0
	}
	return f
}

// Products of tiles of any size have the bits of exact sums that are rounded where the manual rounds.
func TestDot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 11))
	for range 30 {
		rows, pairs, columns := 1+r.IntN(16), 1+r.IntN(16), 1+r.IntN(16)
		u := &unit{config: full()}
		u.config[48], u.config[16] = byte(rows), byte(4*columns)
		u.config[49], u.config[18] = byte(rows), byte(4*pairs)
		u.config[50], u.config[20] = byte(pairs), byte(4*columns)
		operand := func() uint16 { // small exponents, so that sums cancel, and some subnormals
			v := uint16(120+r.IntN(12))<<7 | uint16(r.Uint32())&0x807F
			if r.IntN(20) == 0 {
				v &= 0x807F
			}
			return v
		}
		for i := range 16 {
			for j := range 32 {
				binary.LittleEndian.PutUint16(u.tiles[1][i][2*j:], operand())
				binary.LittleEndian.PutUint16(u.tiles[2][i][2*j:], operand())
			}
			for j := range 16 {
				binary.LittleEndian.PutUint32(u.tiles[0][i][4*j:], math.Float32bits(float32(r.NormFloat64())))
			}
		}
		before := *u
		if err := u.execute(instruction{operation: dotBF16, t: 0, a: 1, b: 2}, nil); err != nil {
			t.Fatal(err)
		}
		value := func(tile, row, i int) float32 {
			bits := binary.LittleEndian.Uint16(before.tiles[tile][row][2*i:])
			if bits&0x7F80 == 0 {
				bits &= 0x8000
			}
			return math.Float32frombits(uint32(bits) << 16)
		}
		for i := range 16 {
			for j := range 16 {
				want := float32(0)
				if i < rows && j < columns {
					var sums [2]float32
					for k := range 2 * pairs {
						sums[k%2] = exactly(value(1, i, k), value(2, k/2, 2*j+k%2), sums[k%2])
					}
					want = math.Float32frombits(binary.LittleEndian.Uint32(before.tiles[0][i][4*j:]))
					want = exactly(1, want, exactly(1, sums[0], sums[1]))
				}
				if got := math.Float32frombits(binary.LittleEndian.Uint32(u.tiles[0][i][4*j:])); got != want {
					t.Fatalf("%d × %d pairs × %d: row %d, column %d is %g, want %g", rows, pairs, columns, i, j, got, want)
				}
			}
		}
	}
}

// What is not configured is zero in a tile and untouched in memory.
func TestLoadAndStore(t *testing.T) {
	u := &unit{config: full()}
	u.config[50], u.config[20] = 3, 20
	m := make(ram, 2*100+20) // three rows, the last one ends where memory ends
	for i := range m {
		m[i] = byte(i + 1)
	}
	u.tiles[2][2][30], u.tiles[2][9][0] = 1, 1
	at := instruction{t: 2, address: 1000, stride: 100}
	at.operation = load
	if err := u.execute(at, m); err != nil {
		t.Fatal(err)
	}
	for r := range 16 {
		for c := range 64 {
			want := byte(0)
			if r < 3 && c < 20 {
				want = m[100*r+c]
			}
			if u.tiles[2][r][c] != want {
				t.Fatalf("byte %d of row %d is %d, want %d", c, r, u.tiles[2][r][c], want)
			}
		}
	}
	to := make(ram, len(m))
	at.operation = store
	if err := u.execute(at, to); err != nil {
		t.Fatal(err)
	}
	for i, v := range to {
		if want := m[i]; i%100 < 20 && v != want || i%100 >= 20 && v != 0 {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
	at.stride = 101
	if err := u.execute(at, to); err != (fault{1, 1202}) {
		t.Errorf("a store behind memory: %v", err)
	}
	if u.config[1] != 2 {
		t.Errorf("it goes on with row %d, want 2", u.config[1])
	}
}

func TestRefusals(t *testing.T) {
	for what, i := range map[string]instruction{
		"the same tile twice":   {operation: dotBF16, t: 1, a: 2, b: 1},
		"a tile without rows":   {operation: zero, t: 7},
		"columns that mismatch": {operation: dotBF16, t: 0, a: 1, b: 6},
	} {
		u := &unit{config: full()}
		u.config[55], u.config[30] = 0, 0
		u.config[28] = 32
		if err := u.execute(i, nil); err != errUndefined {
			t.Errorf("%s: %v, want an undefined instruction", what, err)
		}
		if err := new(unit).execute(i, nil); err != errUndefined {
			t.Errorf("without configuration: %v, want an undefined instruction", err)
		}
	}
	for _, at := range []int{0, 2, 17, 40, 48, 60} {
		c := full()
		c[at] = 65
		if err := new(unit).configure(c); err != (fault{code: protection}) {
			t.Errorf("a configuration with 65 at %d: %v, want a fault", at, err)
		}
	}
}

// Programs get what the unit would give them.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	tiles, probe := filepath.Join(dir, "tiles"), filepath.Join(dir, "probe")
	for program, source := range map[string]string{tiles: ".", probe: "./testdata/probe"} {
		if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if flags, err := os.ReadFile("/proc/cpuinfo"); err == nil && strings.Contains(string(flags), "amx_tile") {
		t.Skip("this machine has tiles of its own")
	}
	if out, err := exec.Command(tiles, "/bin/true").CombinedOutput(); err != nil {
		t.Skipf("no ptrace here: %s", out)
	}
	for _, c := range []struct {
		what, says string
		good       bool
	}{
		{"good", "", true},
		{"unreleased", "ended without TILERELEASE", false},
		{"unconfigured", "SIGILL", false},
		{"wall", "so far ", false},
		{"wall", "fault", false},
	} {
		out, err := exec.Command(tiles, probe, c.what).CombinedOutput()
		if (err == nil) != c.good || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v, %s", c.what, err, out)
		}
	}
}
