// Package tensor holds weights as they lie in a file and multiplies them with activations.
//
// A [Tensor] is a shape, a [Format] and the bytes of a GGUF file, which stay where they are (usually in a memory map). The 25
// formats know their block sizes and how to decode ([Format.Decode]); five can be written as well ([Format.Encode]).
//
// The inner loops are functions of a table, [Kernels]. [Portable] fills it in plain Go; the root package of the project fills
// it with assembly chosen at run time. Two tables live side by side, so every level can be compared with the portable one.
//
// A [Pool] is a set of goroutines that share the chunks of one region at a time. [MatMul] is such a region: one or several
// products of weights and activations. It owns its scratch, so that a product allocates nothing:
//
//	pool := tensor.NewPool(2)
//	defer pool.Close()
//	mm := tensor.NewMatMul(pool, tensor.Portable())
//	err := mm.Run(tensor.Exact, tensor.Product{Dst: y, X: x, N: tokens, W: w}) // y [tokens, rows] = x [tokens, cols] · wᵀ
//
// Work is split by output row and never by depth, and a sum is taken in one order whatever else is in the batch. The same
// input gives the same bits with any number of workers and in any grouping of tokens.
package tensor
