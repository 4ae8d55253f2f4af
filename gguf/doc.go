// Package gguf reads and writes GGUF, the file format in which language models are published: typed metadata, a table
// of tensors, and the tensors' bytes. It knows the format and no model.
//
// # Reading
//
//	f, err := gguf.Open("model.gguf")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	layers, err := f.Metadata.Int("gemma4.block_count")
//	data, err := f.Tensor("token_embd.weight").Data()
//
// [Open] maps the file into memory and reads the metadata and the table of tensors, nothing else: a file of 3 GB opens
// as fast as one of 3 MB with the same vocabulary, and the weights cost no heap. [Tensor.Data] returns a piece of the
// map; its pages are loaded when they are first touched and belong to the operating system. It is valid until
// [File.Close]. Everything else (names, strings, arrays) is a copy and outlives the file. Where files cannot be mapped
// (js/wasm, or the parts of a file of more than a gigabyte on a 32-bit machine) the same calls read the file instead:
// Data then returns a fresh copy, and [Tensor.ReadAt] reads a piece. [OpenBytes] and [OpenReaderAt] open anything else.
//
// A model may be split into parts named NAME-00001-of-00003.gguf and so on. Opening any of them opens all;
// [OpenParts] takes parts of other names, in any order. The tensors of all parts form one table.
//
// # Metadata
//
// [Metadata] is an ordered list of keys with typed values. Producers differ in the integer width they choose for a key,
// so [Metadata.Int] and [Metadata.Ints] take any width that holds the value. The accessors' errors name file and key;
// they wrap [ErrMissing] where the key is absent, so that optional keys are easily told from wrong ones. Arrays such as
// a vocabulary stay encoded ([Array]) until they are asked for.
//
// # Writing
//
// [Write], [WriteFile] and [WriteSplit] take metadata and a list of [Source]: name, type, shape, and a function that
// writes the bytes. Offsets and padding follow from these, so a model of any size is written in one pass.
//
// # The format
//
// All numbers are little endian; a string is its length (u64) and its bytes.
//
//	"GGUF", version u32 (2 or 3), tensor count u64, metadata count u64
//	metadata:  key string, value type u32, value           (an array: element type u32, count u64, elements)
//	tensors:   name string, rank u32, dims u64 × rank, type u32, offset u64
//	padding to a multiple of general.alignment (32 unless the metadata says otherwise)
//	data:      offsets count from here, each a multiple of general.alignment
//
// Dimensions are listed fastest first: a matrix that maps n inputs to m outputs is [n, m], m rows of n weights. A row
// consists of whole blocks ([Type.Block]). The source of all this is the specification in ggml's docs/gguf.md.
//
// # Hostile files
//
// A file comes from a stranger. Every count, length and offset is checked against the file's size before it is used.
// Metadata and table may take 256 MB, 65536 keys and 65536 tensors; opening takes at most 4 times their bytes plus 64 MB
// of memory. What cannot be read gives an error that names file, key or tensor and what was expected; a file that was cut
// short says how much is missing and wraps [io.ErrUnexpectedEOF]. If a mapped file is made shorter while it is open, calls
// of this package return an error; code that touches the bytes of Data needs [runtime/debug.SetPanicOnFault] to survive
// that.
package gguf
