package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
)

// TestTheImageNeedsOnlyTheBinary runs the program as the Dockerfile has it, in a root where nothing else is, not even /proc.
func TestTheImageNeedsOnlyTheBinary(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change its root")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`(?s)\nFROM scratch\n.*\nUSER (\d+):(\d+)\nENTRYPOINT \["(/.+)"\]\n$`).FindStringSubmatch(string(text))
	if image == nil {
		t.Fatalf("the Dockerfile has no scratch, user by number and entry point:\n%s", text)
	}
	user, _ := strconv.Atoi(image[1])
	group, _ := strconv.Atoi(image[2])

	root := t.TempDir()
	program := filepath.Join(root, image[3])
	build := exec.Command(goTool, "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, path := range []string{root, program} { // whatever the umask
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command(image[3], "run", "-temp", "0", "What is the capital of France?")
	run.Dir, run.Env = "/", []string{"HOME=/"}
	run.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(group)}}
	var stderr bytes.Buffer
	run.Stderr = &stderr
	if out, err := run.Output(); err != nil || string(out) != "The capital of France is Paris.\n" {
		t.Errorf("%q, %v, %s", out, err, &stderr)
	}
}
