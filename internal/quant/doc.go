// Package quant encodes rows of weights in the formats of package tensor, with a search of the scales where a format gains by it and with
// the importance of columns where it is known; and it finds the grid that quantisation-aware training has left weights on.
//
// F32, F16, BF16 and Q8_0 are rounding. So are Q4_0, Q4_1, Q5_0 and Q5_1 without importance: the scale follows from the extrema of a block,
// and the blocks are those of ggml's quantisers to the bit. All others are a search: for each block a few scales are tried, each by the
// codes it rounds the weights to and the scale that then fits these best, in least squares. What is least is
//
//	Σ w (x − decoded)²  with w = i·√(2s² + x²)
//
// where i is the column's importance, 1 where it is not known, and s² the mean of squares around the weight. The root makes large weights
// count more: activations that are wrong by a share of a weight do harm by the weight.
//
// All arithmetic is float32 in a fixed order without fused multiply-adds, vectors included: the same weights give the same bytes on every
// machine.
package quant
