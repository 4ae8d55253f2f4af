// Package tensor holds weights as they lie in a file and multiplies them with activations.
//
// A [Tensor] is a shape, a [Format] and the bytes of a GGUF file, which stay where they are (usually in a memory map). The
// formats know their block sizes, how to decode ([Format.Decode]) and, unless they are floats, what integers they are made of
// ([Format.Unpack]); five can be written as well ([Format.Encode]).
//
// The inner loops are functions of a table, [Kernels]. [Portable] fills it in plain Go; the root package of the project fills
// it with assembly chosen at run time. Two tables live side by side, so every level can be compared with the portable one.
//
// A [Pool] is a set of goroutines that share the chunks of one region at a time. [MatMul] runs such regions: one or several
// products of weights and activations. It owns its scratch, so that a product allocates nothing:
//
//	pool := tensor.NewPool(2)
//	defer pool.Close()
//	mm := tensor.NewMatMul(pool, tensor.Portable())
//	err := mm.Run(tensor.Exact, tensor.Product{Dst: y, X: x, N: tokens, W: w}) // y [tokens, rows] = x [tokens, cols] · wᵀ
//
// Work is split by output row and never by depth, and a sum is taken in one order whatever else is in the batch. The same
// input gives the same bits with any number of workers and in any grouping of tokens.
//
// # Words
//
// Each has one meaning here, and in the kernels that fill in the table:
//
//	row          the weights that one output is made of; a matrix is [rows, cols]. Never a token's activations
//	token        the activations at one position of a text: cols numbers. What runs through a product together is n tokens
//	role         prefill (a token of a prompt) or decode (a generated one). To decode weights is another thing: to make floats of them
//	arithmetic   how a product is rounded: exact, rows (that of decode) or panels (that of prefill)
//	level        a set of instructions, such as avx2, and the kernels that use it
//	kernel       an inner loop of the table
//	block        the weights that a format stores together, 32 to 256 of them, with their scales
//	super-block  256 columns of a row: a block or several
//	group        16 columns, the fewest that have a scale of their own
//	unit         64 columns of a token: a Q8
//	part         32 or 16 columns whose products are added up as one integer (rows.go)
//	lane         one of the sums that a loop keeps side by side, as a vector does
//	panel        a few rows, packed for many tokens; a tile is a few tokens that are packed with each other
//	region       work that all workers do together; a chunk is what one of them claims of it
package tensor
