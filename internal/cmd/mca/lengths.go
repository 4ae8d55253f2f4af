package main

import (
	"fmt"

	"github.com/gogemma/gemma4/tensor"
)

// What printLengths multiplies: a matrix of this size, which is packed, with prompts of so many tokens.
const lengthRows, lengthCols = 2048, 2048

var lengths = []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 160}

// printLengths prints what SMMLA gains beside SDOT on the processors that have both: cycles per 32 weights, packing of weights and
// activations included. cortex-a710 and cortex-x2 have the model of neoverse-n2.
func printLengths(c *counter) {
	list := []tensor.Format{tensor.Q4_0, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K}
	fmt.Print("| processor | tokens |")
	for _, f := range list {
		fmt.Printf(" %v: dotprod | i8mm | ratio |", f)
	}
	fmt.Print("\n|---|---|")
	for range list {
		fmt.Print("---|---|---|")
	}
	fmt.Println()
	for _, cpu := range []string{"neoverse-n2", "neoverse-v1"} {
		for _, n := range lengths {
			fmt.Printf("| %s | %d |", cpu, n)
			for _, f := range list {
				dotprod, i8mm := c.panels("dotprod", cpu, f), c.panels("i8mm", cpu, f)
				const blocks = lengthRows * lengthCols / 32
				a, b := dotprod.product(lengthRows, lengthCols, n)/blocks, i8mm.product(lengthRows, lengthCols, n)/blocks
				fmt.Printf(" %.1f | %.1f | %.2f |", a, b, b/a)
			}
			fmt.Println()
		}
	}
}
