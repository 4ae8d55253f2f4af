package sound

import (
	"bytes"
	"log"
	"os"
	"slices"
	"testing"
)

// TestNothingIsWrittenToTheProgramsLog reads a FLAC whose rate its decoder finds remarkable.
func TestNothingIsWrittenToTheProgramsLog(t *testing.T) {
	var text bytes.Buffer
	log.SetOutput(&text)
	defer log.SetOutput(os.Stderr)
	if _, err := ReadFile("testdata/slow.flac", Options{}); err != nil || text.Len() > 0 {
		t.Errorf("%q, %v", &text, err)
	}
}

// TestFLACLeavesTheBitsOfASampleToTheStream changes the headers of frames to ones that do not say how many bits a sample has.
func TestFLACLeavesTheBitsOfASampleToTheStream(t *testing.T) {
	file, err := os.ReadFile("testdata/slow.flac")
	if err != nil {
		t.Fatal(err)
	}
	want := samplesOf(t, file)
	head := bytes.LastIndex(file, []byte("\xff\xf8")) // of the only frame
	frame := file[head:]
	size := 5 + map[byte]int{6: 1, 7: 2}[frame[2]>>4] // its number is 0
	if crc8(frame[:size+1]) != 0 || crc16(0, frame) != 0 {
		t.Fatal("the frame is another than this test takes it for")
	}
	frame = slices.Clone(frame)
	frame[3] &^= 0x0e
	frame[size] = crc8(frame[:size])
	end := len(frame) - 2
	crc := crc16(0, frame[:end])
	frame[end], frame[end+1] = byte(crc>>8), byte(crc)
	changed := append(slices.Clone(file[:head]), frame...)
	if got := samplesOf(t, changed); !slices.Equal(got, want) {
		t.Errorf("%d samples, want %d, and the same", len(got), len(want))
	}
	changed[len(changed)-100] ^= 1
	if clip, err := Read(bytes.NewReader(changed), Options{}); err == nil {
		t.Errorf("damaged, it is read: %+v", clip.Info)
	}
}
