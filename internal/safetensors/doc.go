// Package safetensors reads the file format in which the makers of language models publish their weights: a JSON table of named tensors,
// and their bytes. It knows the format and no model.
//
//	f, err := safetensors.Open("model.safetensors.index.json") // or model.safetensors
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	t := f.Tensor("model.norm.weight")
//	n, err := t.ReadAt(p, 0)
//
// A file is the length of its header (u64, little endian), the header, and the data. The header is a JSON object: for each tensor its name
// and {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [begin, end]}, counted from the data; "__metadata__" holds strings about
// the file. Values are little endian and row-major: the last dimension is the fastest. The tensors fill the data without holes. A model of
// several files comes with an index, {"weight_map": {NAME: FILE}}, beside which they lie. The source of this is the format's README.
//
// Opening reads the header alone and maps nothing: bytes are read when they are asked for, so that going through a file of any size once
// takes no memory.
//
// Files come from strangers. Lengths, shapes and offsets are checked against the file's size before they are used, names of files in an
// index must be plain, and what is not as above is an error that names file and tensor: a header that is longer than its file or 100 MB,
// keys that appear twice, tensors that overlap, holes, a tensor in two files, types that are not known.
package safetensors
