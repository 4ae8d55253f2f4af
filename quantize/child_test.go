package quantize_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/quantize"
)

// TestMain quantises in a process of its own where a test asks for it.
func TestMain(m *testing.M) {
	if in := os.Getenv("QUANTIZE_IN"); in != "" {
		child(in, os.Getenv("QUANTIZE_OUT"), os.Getenv("QUANTIZE_TYPE"), os.Getenv("QUANTIZE_STOP"))
	}
	os.Exit(m.Run())
}

// child quantises a model. At a call of progress, counted from 1, it says so and waits to be killed.
func child(in, out, kind, stop string) {
	t, err := quantize.ParseType(kind)
	if err == nil {
		at, _ := strconv.Atoi(stop)
		calls := 0
		o := quantize.Options{Type: t, Threads: 4} // on any machine: each has pieces in memory
		o.Progress = func(done, total int64) {
			if calls++; calls == at {
				fmt.Println("here")
				select {}
			}
		}
		_, err = quantize.File(context.Background(), in, out, o)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("done", peak())
	os.Exit(0)
}

// peak returns the most bytes that this process has held, 0 if the system does not tell: its own, while what a parent is told of a child
// begins with the parent's.
func peak() (bytes int64) {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(line, &bytes)
	return bytes << 10
}

// start starts a child and returns it and its first line.
func start(t *testing.T, in, out, kind string, stop int) (c *exec.Cmd, line string) {
	t.Helper()
	if runtime.GOOS == "js" {
		t.Skip("there are no processes here")
	}
	c = exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "QUANTIZE_IN="+in, "QUANTIZE_OUT="+out, "QUANTIZE_TYPE="+kind, "QUANTIZE_STOP="+strconv.Itoa(stop),
		"GOMEMLIMIT=off")
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ = bufio.NewReader(pipe).ReadString('\n')
	return c, line
}

func TestARunThatIsKilledLeavesNoFileAndTheNextOneIsRight(t *testing.T) {
	in := model(t, "tiny-dense:bf16")
	want, _ := file(t, in, quantize.Options{Type: quantize.Q8_0})
	out := filepath.Join(t.TempDir(), "out.gguf")
	for _, at := range []int{1, 2, 3, 7, 12, 20, 30} {
		c, line := start(t, in, out, "Q8_0", at)
		if line != "here\n" {
			t.Fatalf("the child says %q", line)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.Wait()
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("killed at call %d: the file is there", at)
		}
		if _, err := os.Stat(out + ".part"); err != nil {
			t.Errorf("killed at call %d: %v", at, err)
		}
	}
	c, line := start(t, in, out, "Q8_0", 0)
	if c.Wait(); !strings.HasPrefix(line, "done ") {
		t.Fatalf("the child says %q", line)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what a later run writes differs: %d bytes, %v", len(got), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}
