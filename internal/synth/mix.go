package synth

import (
	"strings"

	"github.com/gogemma/gemma4/tensor"
)

// A Mix chooses the format of a matrix by its name without the layer and the ending: "token_embd", "attn_q", "ffn_down_exps".
// Where a row is not a multiple of the format's block, Q8_0 or F16 takes its place.
type Mix func(matrix string) tensor.Format

// All returns the mix that has every matrix in one format, except per_layer_model_proj, which is in BF16 unless all is F32.
func All(f tensor.Format) Mix {
	return func(matrix string) tensor.Format {
		if matrix == "per_layer_model_proj" && f != tensor.F32 {
			return tensor.BF16
		}
		return f
	}
}

// q4KM is the mix of published Q4_K_M files, simplified: the tables, the values and what leads out of the MLPs in Q6_K, the other
// matrices in Q4_K.
func q4KM(matrix string) tensor.Format {
	switch matrix {
	case "per_layer_model_proj":
		return tensor.BF16
	case "token_embd", "per_layer_token_embd", "output", "attn_v", "ffn_down", "ffn_down_exps":
		return tensor.Q6_K
	}
	return tensor.Q4_K
}

// mix finds the mix that the second half of a spec names.
func mix(name string) (Mix, bool) {
	if name == "q4_k_m" {
		return q4KM, true
	}
	for _, f := range tensor.Formats() {
		if strings.ToLower(f.String()) == name {
			return All(f), true
		}
	}
	return nil, false
}

// fit returns f, or a format whose blocks divide a row of n values. What is not a format stays so.
func fit(f tensor.Format, n int) tensor.Format {
	switch {
	case !f.Valid(), n%f.BlockLen() == 0:
		return f
	case n%tensor.Q8_0.BlockLen() == 0:
		return tensor.Q8_0
	}
	return tensor.F16
}
