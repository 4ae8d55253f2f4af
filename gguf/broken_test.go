package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

func TestBrokenFilesSayWhatIsWrong(t *testing.T) {
	nested := head(0, 1).key("k", gguf.ValueArray)
	for range 5 {
		nested = nested.u32(uint32(gguf.ValueArray)).u64(1)
	}
	two := func(second bin) bin { return head(2, 0).tensor("a", gguf.F32, 0, 16).join(second...).data(256) }
	one := func(tensor bin) bin { return head(1, 0).join(tensor...).data(256) }
	aligned := func(v uint32) bin {
		return head(1, 1).key("general.alignment", gguf.ValueUint32).u32(v).tensor("t", gguf.F32, 0, 8).data(256)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string // after "gguf: FILE: "
		cut  bool   // the error wraps io.ErrUnexpectedEOF
	}{
		// What is not a GGUF file of a version that is read.
		{"empty", nil, "is empty, expected a GGUF file: download it again", true},
		{"first byte only", []byte("G"),
			"1 bytes, at least 23 bytes are missing: the download is incomplete: resume it or begin again", true},
		{"magic only", []byte("GGUF"), "4 bytes, at least 20 bytes are missing: the download is incomplete", true},
		{"other bytes", []byte("hello, world, this is no model"), `is not a GGUF file: it begins with "hello, world, th"`, false},
		{"web page", []byte("\n<!DOCTYPE html><html>"), "is not a GGUF file: it begins with \"\\n<!DOCTYPE html>\" (a web page,", false},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
			"(a pointer to a file in Git LFS: fetch the file itself with git lfs pull)", false},
		{"JSON", []byte(`{"error":"Repository not found"}`), "(JSON, perhaps an error instead of the download)", false},
		{"zip", []byte("PK\x03\x04archive/data.pkl"), "(a zip archive or PyTorch model: convert it to GGUF)", false},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "(a gzip archive: unpack it)", false},
		{"safetensors", bin{}.str(`{"__metadata__":{}}`), "(safetensors: convert it to GGUF)", false},
		{"before GGUF", []byte("tjgg\x03\x00\x00\x00"), "(a model from before GGUF: convert the original again)", false},
		{"version 0", bin("GGUF").u32(0).u64(0).u64(0), "GGUF version 0, expected 2 or 3", false},
		{"version 1", bin("GGUF").u32(1).u32(0).u32(0), "GGUF version 1, expected 2 or 3: convert the model again", false},
		{"version 4", bin("GGUF").u32(4).u64(0).u64(0), "GGUF version 4, expected 2 or 3", false},
		{"big endian", bin("GGUF").u8(0, 0, 0, 3).u64(0).u64(0),
			"is a big-endian GGUF file (version 3), expected a little-endian one", false},
		{"no counts", bin("GGUF").u32(3),
			"counts of tensors and keys: 16 bytes at offset 8, but the file ends at 8: at least 16 bytes are missing", true},
		{"too many tensors", head(math.MaxUint64, 0), "18446744073709551615 tensors, expected at most 65536", false},
		{"too many keys", head(0, 1<<40), "1099511627776 metadata keys, expected at most 65536", false},

		// Keys.
		{"no key", head(0, 1), "metadata key 0 of 1: 8 bytes at offset 24, but the file ends at 24: at least 8 bytes are missing", true},
		{"key cut", head(0, 1).u64(9).u8('k'),
			"metadata key 0 of 1: name of 9 bytes at offset 32, but the file ends at 33: at least 8 bytes are missing", true},
		{"key too long", head(0, 1).u64(math.MaxUint64),
			"metadata key 0 of 1: name of 18446744073709551615 bytes, expected at most 65535", false},
		{"key empty", head(0, 1).key("", gguf.ValueUint8).u8(0), "metadata key 0 of 1: empty name", false},
		{"key not UTF-8", head(0, 1).key("k\xff", gguf.ValueUint8).u8(0), "metadata key 0 of 1: name is not valid UTF-8", false},
		{"key twice", head(0, 2).key("k", gguf.ValueUint8).u8(0).key("k", gguf.ValueUint8).u8(0), "metadata key k: appears twice", false},

		// Values.
		{"no value type", head(0, 1).str("k"), "metadata key k: 4 bytes at offset 33, but the file ends at 33", true},
		{"value type 13", head(0, 1).key("k", 13), "metadata key k: value type 13, expected 0 to 12", false},
		{"value cut", head(0, 1).key("k", gguf.ValueUint64).u32(0),
			"metadata key k: 8 bytes at offset 37, but the file ends at 41: at least 4 bytes are missing", true},
		{"bool 2", head(0, 1).key("k", gguf.ValueBool).u8(2), "metadata key k: bool is 2, expected 0 or 1", false},
		{"string cut", head(0, 1).key("k", gguf.ValueString).u64(4).u8('a'),
			"metadata key k: string of 4 bytes at offset 45, but the file ends at 46: at least 3 bytes are missing", true},
		{"string endless", head(0, 1).key("k", gguf.ValueString).u64(math.MaxUint64),
			"metadata key k: string of 18446744073709551615 bytes at offset 45", true},
		{"string not UTF-8", head(0, 1).key("k", gguf.ValueString).str("a\xc3"), "metadata key k: string is not valid UTF-8", false},
		{"array without a count", head(0, 1).key("k", gguf.ValueArray).u32(0),
			"metadata key k: 12 bytes at offset 37, but the file ends at 41", true},
		{"array of type 77", head(0, 1).key("k", gguf.ValueArray).u32(77).u64(0),
			"metadata key k: array of value type 77, expected 0 to 12", false},
		{"array cut", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueInt32)).u64(3).u64(0),
			"array of 3 × int32: at least 12 bytes at offset 49, but the file ends at 57: at least 4 bytes are missing", true},
		{"array whose size overflows", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueInt64)).u64(1 << 61),
			"metadata key k: array of 2305843009213693952 × int64: at least 18446744073709551615 bytes", true},
		{"array of endless strings", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueString)).u64(1 << 60),
			"metadata key k: array of 1152921504606846976 × string", true},
		{"string in an array cut", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueString)).u64(2).str("ab").u64(5).u8('c'),
			"metadata key k: string 1 of 2: 5 bytes at offset 67, but the file ends at 68", true},
		{"string in an array endless", head(0, 1).key("k", gguf.ValueArray).
			u32(uint32(gguf.ValueString)).u64(1).u64(math.MaxUint64 - 7),
			"metadata key k: string 0 of 1: 18446744073709551608 bytes", true},
		{"bool in an array 7", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueBool)).u64(3).u8(0, 1, 7),
			"metadata key k: bool is 7, expected 0 or 1", false},
		{"arrays too deep", nested,
			"metadata key k: array 0 of 1: array 0 of 1: array 0 of 1: array 0 of 1: arrays nested more than 4 deep", false},
		{"array of endless arrays", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueArray)).u64(1 << 63),
			"metadata key k: array of 9223372036854775808 × array: at least 18446744073709551615 bytes", true},
		{"array in an array cut", head(0, 1).key("k", gguf.ValueArray).
			u32(uint32(gguf.ValueArray)).u64(1).u32(uint32(gguf.ValueInt8)).u64(9),
			"metadata key k: array 0 of 1: array of 9 × int8: at least 9 bytes at offset 61", true},

		// Alignment.
		{"alignment 0", aligned(0), "metadata key general.alignment: value 0, expected a power of two from 8 to 2097152", false},
		{"alignment 24", aligned(24), "metadata key general.alignment: value 24, expected a power of two", false},
		{"alignment 4", aligned(4), "metadata key general.alignment: value 4, expected a power of two", false},
		{"alignment 1 GB", aligned(1 << 30), "metadata key general.alignment: value 1073741824, expected a power of two", false},
		{"alignment in words", head(0, 1).key("general.alignment", gguf.ValueString).str("32"),
			"metadata key general.alignment: type string, expected an integer", false},

		// The table.
		{"no tensor", head(1, 0), "tensor 0 of 1: 8 bytes at offset 24, but the file ends at 24", true},
		{"tensor's name cut", head(1, 0).u64(3).u8('t'), "tensor 0 of 1: name of 3 bytes at offset 32, but the file ends at 33", true},
		{"tensor's name empty", one(bin{}.tensor("", gguf.F32, 0, 1)), "tensor 0 of 1: empty name", false},
		{"tensor's name not UTF-8", one(bin{}.tensor("\x80", gguf.F32, 0, 1)), "tensor 0 of 1: name is not valid UTF-8", false},
		{"tensor's name for a terminal", one(bin{}.tensor("\x1b[2J", gguf.F32, 0)),
			`tensor "\x1b[2J": 0 dimensions, expected 1 to 4`, false},
		{"tensor twice", two(bin{}.tensor("a", gguf.F32, 64, 16)), "tensor a: appears twice", false},
		{"tensor cut at its rank", head(1, 0).str("t"), "tensor t: 4 bytes at offset 33, but the file ends at 33", true},
		{"tensor cut at its dimensions", head(1, 0).str("t").u32(2).u64(1),
			"tensor t: 28 bytes at offset 37, but the file ends at 45", true},
		{"no dimensions", one(bin{}.tensor("t", gguf.F32, 0)), "tensor t: 0 dimensions, expected 1 to 4", false},
		{"5 dimensions", one(bin{}.tensor("t", gguf.F32, 0, 1, 1, 1, 1, 1)), "tensor t: 5 dimensions, expected 1 to 4", false},
		{"endless dimensions", one(bin{}.str("t").u32(math.MaxUint32)), "tensor t: 4294967295 dimensions, expected 1 to 4", false},
		{"dimension 0", one(bin{}.tensor("t", gguf.F32, 0, 4, 0)), "tensor t: dimensions [4 0], expected none of them 0", false},
		{"dimensions that overflow", one(bin{}.tensor("t", gguf.F32, 0, 1<<20, 1<<20, 1<<20, 1<<20)),
			"tensor t: dimensions [1048576 1048576 1048576 1048576] are more than", false},
		{"dimension beyond an int", one(bin{}.tensor("t", gguf.F32, 0, 1<<63)),
			"tensor t: dimensions [9223372036854775808] are more than this machine can count", false},
		{"bytes that overflow", one(bin{}.tensor("t", gguf.F32, 0, 1<<30, 1<<30, 2)),
			"tensor t: dimensions [1073741824 1073741824 2] are more bytes than a file can have", false},
		{"bytes that overflow to 0", one(bin{}.tensor("t", gguf.F32, 0, 1<<30, 1<<30, 4)),
			"tensor t: dimensions [1073741824 1073741824 4] are more bytes than a file can have", false},
		{"part of a block", one(bin{}.tensor("t", gguf.Q4_K, 0, 288, 2)),
			"tensor t: dimensions [288 2], expected the first to be a multiple of 256, the block of Q4_K", false},

		// The data.
		{"misaligned", two(bin{}.tensor("t", gguf.F32, 72, 8)), "tensor t: offset 72, expected a multiple of general.alignment, 32", false},
		{"offset beyond everything", one(bin{}.tensor("t", gguf.F32, math.MaxUint64-31, 8)),
			"tensor t: offset 18446744073709551584 is more than a file can have", false},
		{"offset and size overflow", one(bin{}.tensor("t", gguf.F32, math.MaxInt64-31, 8)),
			"tensor t: offset 9223372036854775776 is more than a file can have", false},
		{"overlapping", two(bin{}.tensor("b", gguf.F32, 32, 8)), "tensor b: bytes 128 to 160 overlap those of tensor a, 96 to 160", false},
		{"in one place", two(bin{}.tensor("b", gguf.F32, 0, 16)), "tensor b: bytes 96 to 160 overlap those of tensor a, 96 to 160", false},
		{"listed in reverse and overlapping", head(2, 0).tensor("b", gguf.F32, 32, 8).tensor("a", gguf.F32, 0, 16).data(256),
			"tensor b: bytes 128 to 160 overlap those of tensor a, 96 to 160", false},
		{"data cut", head(1, 0).tensor("t", gguf.F32, 0, 100).data(399),
			"tensor t: bytes 64 to 464, but the file ends at 463: 1 bytes are missing, the download is incomplete", true},
		{"no data", head(1, 0).tensor("t", gguf.F32, 1<<50, 100),
			"but the file ends at 57: 1125899906843031 bytes are missing, the download is incomplete", true},

		{"unknown type without data", head(1, 0).tensor("t", 300, 0, 100).data(0),
			"tensor t: bytes 64 to 65, but the file ends at 64: 1 bytes are missing", true},
		{"unknown type in another's place", two(bin{}.tensor("b", 300, 0, 16)),
			"tensor b: bytes 96 to 352 overlap those of tensor a, 96 to 160", false},
		{"another in an unknown type's place", head(2, 0).tensor("b", 300, 0, 16).tensor("a", gguf.F32, 0, 16).data(160),
			"tensor a: bytes 96 to 160 overlap those of tensor b, 96 to 97", false},
		{"values that overflow", one(bin{}.tensor("t", 300, 0, 1<<31, 1<<31, 2)),
			"tensor t: dimensions [2147483648 2147483648 2] are more than this machine can count", false},
		{"Q2_0 cut", head(1, 0).tensor("t", gguf.Q2_0, 0, 1<<14).data(4607),
			"tensor t: bytes 64 to 4672, but the file ends at 4671: 1 bytes are missing", true},

		// Splits, in a single part.
		{"split.count 0", head(0, 1).key("split.count", gguf.ValueUint16).u8(0, 0),
			"metadata key split.count: value 0, expected 1 to 65535", false},
		{"split.count endless", head(0, 1).key("split.count", gguf.ValueUint64).u64(1 << 40),
			"metadata key split.count: value 1099511627776, expected 1 to 65535", false},
		{"split.count in words", head(0, 1).key("split.count", gguf.ValueString).str("3"),
			"metadata key split.count: type string, expected an integer", false},
		{"split without split.no", head(0, 1).key("split.count", gguf.ValueUint16).u8(3, 0), "metadata key split.no: missing", false},
		{"split.no beyond split.count", head(0, 2).key("split.count", gguf.ValueUint16).u8(3, 0).key("split.no", gguf.ValueUint16).u8(3, 0),
			"metadata key split.no: value 3, expected 0 to 2, one below split.count", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broken.gguf")
			if err := os.WriteFile(path, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, open := range []struct {
				name string
				call func() (*gguf.File, error)
			}{
				{path, func() (*gguf.File, error) { return gguf.Open(path) }},
				{"bytes", func() (*gguf.File, error) { return gguf.OpenBytes(c.file) }},
				{"reader", func() (*gguf.File, error) {
					return gguf.OpenReaderAt(gguf.Part{Name: "reader", ReaderAt: bytes.NewReader(c.file), Size: int64(len(c.file))})
				}},
			} {
				f, err := open.call()
				if err == nil {
					f.Close()
					t.Fatalf("opened, want the error %s", c.want)
				}
				if f != nil {
					t.Error("a file comes with the error")
				}
				if !strings.HasPrefix(err.Error(), "gguf: "+open.name+": ") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %q\nwant  \"gguf: %s: … %s …\"", err, open.name, c.want)
				}
				if errors.Is(err, io.ErrUnexpectedEOF) != c.cut {
					t.Errorf("error %q wraps io.ErrUnexpectedEOF: want %v", err, c.cut)
				}
			}
		})
	}
}

// A download that stops anywhere is told from a file that is wrong.
func TestFileCutAnywhereIsIncomplete(t *testing.T) {
	m, sources := everything()
	whole := encode(t, m, sources)
	f, err := gguf.OpenBytes(whole)
	if err != nil {
		t.Fatal(err)
	}
	last := f.Tensors[len(f.Tensors)-1]
	for n := range whole[:last.Offset+last.Size] { // what follows is padding, which is not missed
		if _, err := gguf.OpenBytes(whole[:n:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d bytes of %d: error %v", n, len(whole), err)
		}
	}
	if _, err := gguf.OpenBytes(whole[:last.Offset+last.Size]); err != nil {
		t.Errorf("cut to the last byte of data: %v", err)
	}
}

func TestWhatIsNoFileSaysSo(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		call func() (*gguf.File, error)
		want string
		is   error
	}{
		{func() (*gguf.File, error) { return gguf.Open(dir) }, "gguf: " + dir + ": is a directory, expected a GGUF file", nil},
		{func() (*gguf.File, error) { return gguf.Open(filepath.Join(dir, "none.gguf")) }, "none.gguf", os.ErrNotExist},
		{func() (*gguf.File, error) { return gguf.Open(os.DevNull) }, "is not a regular file", nil},
		{func() (*gguf.File, error) { return gguf.OpenParts() }, "gguf: no file given", nil},
		{func() (*gguf.File, error) { return gguf.OpenBytes() }, "gguf: no file given", nil},
		{func() (*gguf.File, error) { return gguf.OpenReaderAt(gguf.Part{Name: "n", Size: 5}) }, "gguf: n: no reader", nil},
		{func() (*gguf.File, error) {
			return gguf.OpenReaderAt(gguf.Part{Name: "n", ReaderAt: strings.NewReader(""), Size: -1})
		}, "gguf: n: no reader, or a size of -1 bytes", nil},
		{func() (*gguf.File, error) {
			return gguf.OpenReaderAt(gguf.Part{Name: "n", ReaderAt: strings.NewReader("GGUF"), Size: 100})
		}, "gguf: n: read 4 of 100 bytes at offset 0", io.ErrUnexpectedEOF},
	} {
		_, err := c.call()
		if err == nil || !strings.HasPrefix(err.Error(), "gguf: ") || !strings.Contains(err.Error(), c.want) ||
			c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}
